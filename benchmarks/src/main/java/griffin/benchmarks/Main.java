package griffin.benchmarks;

import java.util.Arrays;
import java.util.Set;
import java.util.function.DoubleSupplier;

/**
 * Runs the benchmarks: {@code benchmarks/run NAME [options]}, or without the repository {@code java --add-modules jdk.incubator.vector -jar griffin-benchmarks.jar NAME [options]}. Java 25, this jar and
 * the lib folder beside it are all that is needed.
 */
public final class Main {

    private static final Set<String> NAMES =
            Set.of("report", "ceilings", "decode", "batch", "prefill", "scan", "conv", "soak", "coldstart", "state", "concurrent", "turns");

    private static final String USAGE =
            """
            usage: benchmarks/run NAME [options]
              report     ceilings, decode, batch, prefill, scan and conv in one table
              ceilings   read, copy and FMA rates of this machine, in Java and C
              decode     end-to-end decode, share of the read ceiling
              batch      end-to-end decode of 1, 2, 4 and 8 sequences at once
              prefill    end-to-end prefill of 512 tokens, share of the FMA ceiling
              scan       RG-LRU recurrence alone
              conv       causal convolution alone
              first      time to the first token in this new process
              coldstart  time from starting ./griffin-run to its first character; run it in the repository's root
              soak       200,000 tokens through the stories model, resident memory before and after
              concurrent generations of the embedded model side by side through the scheduler, against one session
              turns      first token of a conversation's second turn, from the state of the first and read again
              state      saving a state of full size, and going on from its file in the page cache
              jmh ...    JMH with its own options: operations by shape
            options: --model DIR with --weights mapped|memory (mapped), or random weights of --shape 2b|9b|stories (2b) with --layers N (all); --runs N (5);
              --tokens N per run; --threads N (all cores); --device cpu|cuda for concurrent and turns (cpu); --no-c leaves the C ceilings out""";

    private Main() {}

    public static void main(String[] args) throws Exception {
        long start = System.nanoTime();
        String name = args.length == 0 ? "--help" : args[0];
        if (name.equals("jmh")) {
            org.openjdk.jmh.Main.main(Arrays.copyOfRange(args, 1, args.length));
            return;
        }
        if (name.equals("--help")) {
            System.out.println(USAGE);
            return;
        }
        try {
            run(name, Options.parse(args, 1), start);
        } catch (IllegalArgumentException e) {
            System.err.println(e.getMessage() + System.lineSeparator() + USAGE);
            System.exit(2);
        }
    }

    private static void run(String name, Options o, long start) {
        if (name.equals("first")) {
            FirstToken.run(o, start);
            return;
        }
        if (!NAMES.contains(name)) {
            throw new IllegalArgumentException("there is no benchmark " + name);
        }
        Results.note(MachineInfo.line() + "; " + o.threads + " threads, median of " + o.runs + " runs");
        Results.header();
        switch (name) {
            case "report" -> {
                ceilings(o);
                models(o, true, true, true);
                Loops.scan(o);
                Loops.conv(o);
            }
            case "ceilings" -> ceilings(o);
            case "decode" -> models(o, true, false, false);
            case "batch" -> models(o, false, true, false);
            case "prefill" -> models(o, false, false, true);
            case "scan" -> Loops.scan(o);
            case "conv" -> Loops.conv(o);
            case "soak" -> Soak.run(o);
            case "turns" -> Turns.run(o);
            case "state" -> StateFiles.run(o);
            case "coldstart" -> ColdStart.run(o);
            case "concurrent" -> Concurrent.run(o);
            default -> throw new IllegalStateException(name);
        }
    }

    private static void ceilings(Options o) {
        double[] copy = new double[o.runs];
        CopyCeiling copies = new CopyCeiling(o.threads);
        Arrays.setAll(copy, i -> copies.measure());
        FmaCeiling operations = new FmaCeiling(o.threads);
        try (ReadCeiling ceiling = new ReadCeiling(o.threads); CTwin twin = o.twin ? CTwin.start(o.threads).orElse(null) : null) {
            inTurns(o, "read ceiling, Java", "GB/s", ceiling::measure, twin == null ? null : twin::read);
            Results.line("copy ceiling, Java", Team.median(copy), "GB/s");
            inTurns(o, "FMA ceiling, Java", "GFLOP/s", operations::measure, twin == null ? null : twin::fma);
        }
    }

    /** Java and C in turns; the share is the median of the pairs' ratios. */
    private static void inTurns(Options o, String name, String unit, DoubleSupplier java, DoubleSupplier c) {
        double[] ours = new double[o.runs];
        double[] ratio = new double[o.runs];
        for (int i = 0; i < o.runs; i++) {
            ours[i] = java.getAsDouble();
            ratio[i] = c == null ? 0 : ours[i] / c.getAsDouble();
        }
        Results.line(name, Team.median(ours), unit);
        if (c != null) {
            Results.line(name + " against C, in turns", Team.median(ratio), "times");
        }
    }

    private static void models(Options o, boolean decode, boolean batch, boolean prefill) {
        try (Workload w = new Workload(o, 512, 8)) {
            Results.note(w.description);
            if (decode) {
                try (ReadCeiling ceiling = new ReadCeiling(o.threads)) {
                    ModelRuns.decode(o, w, ceiling);
                }
            }
            if (batch) {
                double single = ModelRuns.single(o, w);
                for (int sequences : new int[] {2, 4, 8}) {
                    ModelRuns.batch(o, w, sequences, single);
                }
            }
            if (prefill) {
                ModelRuns.prefill(o, w, new FmaCeiling(o.threads));
            }
        }
    }
}
