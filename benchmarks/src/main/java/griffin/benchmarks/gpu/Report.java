package griffin.benchmarks.gpu;

import griffin.backend.AttentionShape;
import griffin.backend.cuda.GpuProbes;
import griffin.backend.cuda.OperationProbes;
import griffin.error.GriffinException;
import griffin.model.GriffinConfig;
import griffin.weights.ModelFiles;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.OptionalDouble;

/** The committed measurement of Griffin on an NVIDIA GPU: {@code benchmarks/gpu/report}. */
public final class Report {

    static final String READ = "read";
    static final String COPY = "copy";
    static final String MATRIX = "matrix";
    static final String PINNED = "pinned copy";

    /** With nothing said of sizes, 9B follows only when it can be made and measured within the ten minutes. */
    private static final double LATEST_START_OF_9B = 240;

    /** After these tokens of a soak memory must not grow. */
    private static final int SOAK_EARLY = 4096;

    private final ReportOptions options;
    private final GpuProbes probes;
    private final ReportFile file;
    private final long start = System.nanoTime();
    private Peers peers;
    private double read;
    private double copy;
    private double matrix;
    private double pinned;
    /** One size is enough. */
    private boolean soaked;

    private Report(ReportOptions options, GpuProbes probes) {
        this.options = options;
        this.probes = probes;
        file = new ReportFile(options.out, probes.card(), GpuProbes.driver());
    }

    /** See {@code --help}. */
    public static void main(String[] args) {
        System.exit(run(args));
    }

    static int run(String... args) {
        if (Arrays.asList(args).contains("--help")) {
            System.out.println(ReportOptions.USAGE);
            return 0;
        }
        ReportOptions options;
        try {
            options = ReportOptions.parse(args);
        } catch (IllegalArgumentException e) {
            System.err.println("report: " + e.getMessage() + System.lineSeparator() + ReportOptions.USAGE);
            return 2;
        }
        try (GpuProbes probes = new GpuProbes(options.device)) {
            new Report(options, probes).measure();
            return 0;
        } catch (GriffinException | IllegalStateException | UncheckedIOException e) {
            System.err.println("report: " + e.getMessage());
            return 1;
        }
    }

    private void measure() {
        System.out.println("# " + probes.card() + ", CUDA driver " + GpuProbes.driver());
        try (Models models = new Models()) {
            if (options.peers) {
                runPeers();
            }
            ceilings();
            String first = options.size == null ? "2b" : options.size;
            size(first, models.get(first, options.model(first)));
            if (options.soak) {
                soakSmall();
            }
            if (options.everything && options.size == null && elapsed() < LATEST_START_OF_9B) {
                size("9b", models.get("9b", options.model("9b")));
            }
        } finally {
            file.write();
        }
        System.out.printf("%n%s# %.0f s%n", file.table(), elapsed());
    }

    private double elapsed() {
        return (System.nanoTime() - start) / 1e9;
    }

    private void runPeers() {
        String missing = Peers.missing(options.peersScript);
        if (missing != null) {
            file.note(missing);
        } else {
            peers = Peers.run(options.peersScript, options.out);
        }
    }

    /** The higher of our own probe and the peers', so that nobody's slow probe makes a share look good. */
    private void ceilings() {
        read = higher(probes.read(), peers == null ? OptionalDouble.empty() : peers.readBytesPerSecond());
        copy = higher(probes.copy(), peers == null ? OptionalDouble.empty() : peers.copyBytesPerSecond());
        matrix = higher(probes.matrix(), peers == null ? OptionalDouble.empty() : peers.matrixOperationsPerSecond());
        pinned = probes.pinnedCopy();
        file.ceiling(READ, read);
        file.ceiling(COPY, copy);
        file.ceiling(MATRIX, matrix);
        file.ceiling(PINNED, pinned);
        System.out.printf("# read %.0f GB/s, copy %.0f GB/s, matrix %.0f TFLOP/s, pinned copy %.1f GB/s%n", read / 1e9, copy / 1e9,
                matrix / 1e12, pinned / 1e9);
    }

    static double higher(double ours, OptionalDouble theirs) {
        return theirs.isEmpty() || theirs.getAsDouble() <= ours ? ours : theirs.getAsDouble();
    }

    private void size(String size, Path model) {
        boolean compare = peers != null && size.equals("2b");
        if (options.decode || options.prefill) {
            loads(size, model); // before any other, so that the first is the first of the process
        }
        try (SingleRuns single = new SingleRuns(model, "cuda:" + options.device, options.runs)) {
            if (options.decode || compare) {
                double step = decode(size, single, Bars.DECODE_SHORT, 128);
                if (compare) {
                    compareDecode(size, 1 / step);
                }
            }
            if (options.decode) {
                decode(size, single, Bars.DECODE_LONG, 8192);
                double first = single.firstToken(128);
                file.add(Row.of(size + " " + Bars.FIRST_TOKEN, 1e3 * first, "ms", bar(size, Bars.FIRST_TOKEN)));
            }
            if (options.prefill) {
                prefill(size, single, Bars.PREFILL_SHORT, 2048);
                prefill(size, single, Bars.PREFILL_LONG, 16_384);
            }
            if (compare) {
                comparePrefill(size, single.firstToken(2048));
            }
            file.write();
            if (options.soak && !soaked) {
                soaked = true;
                soak(size, Bars.SOAK, single, false);
            }
        }
        if (options.decode || options.prefill) {
            batches(size, model);
        }
        if (options.prefill) {
            operations(size, model);
        }
        file.write();
    }

    private void other(String size, String name, OperationProbes.Others others) {
        file.add(Row.of(size + " " + name, others.inPlace(), "of time", bar(size, name)));
        file.add(Row.of(size + " " + name + ", saved by products alone", others.saved(), "of time", null));
    }

    /** The scan and the attention alone, at the model's widths. */
    private void operations(String size, Path model) {
        GriffinConfig config = GriffinConfig.read(ModelFiles.of(model));
        OperationProbes alone = new OperationProbes(probes);
        int rows = 8192;
        double scan = alone.scan(rows, config.lruWidth());
        double bytes = 10.0 * rows * config.lruWidth(); // four bfloat16 read, one written
        file.add(Row.ofBytes(size + " " + Bars.SCAN, 1e6 * scan, "us", bytes, bytes / scan / copy, COPY, bar(size, Bars.SCAN)));
        double attention = alone.windowAttention(rows, new AttentionShape(config.heads(), config.headWidth(), config.window(),
                config.rotaryWidth(), config.ropeTheta()));
        double flops = new Costs(config).attentionOperations(rows) / config.attentionLayers();
        file.add(Row.ofFlops(size + " " + Bars.ATTENTION, 1e6 * attention, "us", flops, flops / attention / matrix, MATRIX,
                bar(size, Bars.ATTENTION)));
        if (peers != null && size.equals("2b")) {
            ratio(size, Bars.PEER_SDPA, 1e3 * attention, peers.number("attention", "sdpa_8192_ms"), true);
            ratio(size, Bars.PEER_FLEX, 1e3 * attention, peers.number("attention", "flex_8192_ms"), true);
        }
    }

    private Bar bar(String size, String row) {
        return Bars.of(probes.card(), size, row).orElse(null);
    }

    private double decode(String size, SingleRuns single, String name, int context) {
        double step = single.decodeStep(context);
        double bytes = single.costs.decodeBytes(1, context, SingleRuns.STEPS);
        file.add(Row.ofBytes(size + " " + name, 1 / step, "tok/s", bytes, bytes / step / read, READ, bar(size, name)));
        return step;
    }

    private void prefill(String size, SingleRuns single, String name, int tokens) {
        double seconds = single.prefill(tokens);
        double operations = single.costs.prefillOperations(tokens);
        file.add(Row.ofFlops(size + " " + name, 1e3 * seconds, "ms", operations, operations / seconds / matrix, MATRIX, bar(size, name)));
        double counted = operations + single.costs.skippedOperations(tokens);
        file.add(Row.ofFlops(size + " " + name + ", all layers counted", 1e3 * seconds, "ms", counted, counted / seconds / matrix, MATRIX,
                null));
    }

    private void loads(String size, Path model) {
        double bytes = new Costs(GriffinConfig.read(ModelFiles.of(model))).weightBytes();
        Loads loads = new Loads(model, () -> BatchRuns.cuda(options.device));
        file.add(Row.ofBytes(size + " " + Bars.FIRST_LOAD, loads.first, "s", bytes, bytes / loads.first / pinned, PINNED, null));
        file.add(Row.ofBytes(size + " " + Bars.LOAD, loads.median, "s", bytes, bytes / loads.median / pinned, PINNED,
                bar(size, Bars.LOAD)));
    }

    private void batches(String size, Path model) {
        try (BatchRuns runs = new BatchRuns(model, BatchRuns.cuda(options.device), BatchRuns.CONTEXT, options.runs)) {
            if (options.prefill) {
                other(size, Bars.OTHER_SHORT, runs.otherThanProducts(0, 2048));
                other(size, Bars.OTHER_LONG, runs.otherThanProducts(8192, 8192));
            }
            for (int batch : options.decode ? new int[] {8, BatchRuns.LARGEST} : new int[0]) {
                String name = batch == 8 ? Bars.DECODE_8 : Bars.DECODE_32;
                double step = runs.decodeStep(batch);
                double moved = runs.costs.decodeBytes(batch, BatchRuns.CONTEXT, SingleRuns.STEPS);
                file.add(Row.ofBytes(size + " " + name, batch / step, "tok/s", moved, moved / step / read, READ, bar(size, name)));
            }
        }
    }

    private void soak(String name, String row, SingleRuns single, boolean decoded) {
        long grown = single.soak(options.soakTokens, SOAK_EARLY, decoded, probes::usedBytes);
        file.add(Row.of(name + " " + row + ", growth", grown / 1e6, "MB", Bars.of(probes.card(), name, row).orElse(null)));
    }

    private void soakSmall() {
        if (!Files.isDirectory(options.soakModel)) {
            file.note("no soak of a small model: there is no " + options.soakModel + "; name one with --soak-model");
            return;
        }
        GriffinConfig config = GriffinConfig.read(ModelFiles.of(options.soakModel));
        try (SingleRuns single = new SingleRuns(options.soakModel, "cuda:" + options.device, 1)) {
            soak(config.layers() + " layers, decoded throughout:", Bars.SOAK, single, true);
        }
    }

    private void compareDecode(String size, double ours) {
        ratio(size, Bars.PEER_EAGER, ours, peers.number("hf_2b", "decode_b1", "tokens_per_s"), false);
        ratio(size, Bars.PEER_COMPILED, ours, peers.number("hf_2b_compiled", "decode_b1", "tokens_per_s"), false);
    }

    private void comparePrefill(String size, double seconds) {
        ratio(size, Bars.PEER_PREFILL, 1e3 * seconds, peers.number("hf_2b", "prefill_2048", "ms"), true);
        ratio(size, Bars.PEER_GEMMA, 1e3 * seconds, peers.number("gemma_2b", "prefill_2048", "ms"), true);
    }

    /** How many times as fast as the peer. */
    private void ratio(String size, String name, double ours, OptionalDouble theirs, boolean times) {
        if (theirs.isEmpty()) {
            file.note(name + ": the peer script gave no such number; see peers/peers.log");
            return;
        }
        double ratio = times ? theirs.getAsDouble() / ours : ours / theirs.getAsDouble();
        file.add(Row.of(size + " " + name, ratio, "times", bar(size, name)));
    }
}
