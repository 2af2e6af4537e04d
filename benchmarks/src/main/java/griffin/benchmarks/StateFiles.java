package griffin.benchmarks;

import griffin.GenerationListener;
import griffin.GenerationOptions;
import griffin.Griffin;
import griffin.Session;
import griffin.StateCompression;
import griffin.backend.DType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Random;
import java.util.function.Supplier;
import java.util.stream.Stream;
import java.util.zip.CRC32C;

/**
 * How long it takes to save a state of the full size of the 2B or 9B, and to go on from its file while that is in the page cache. The
 * model is as wide where the state is, and narrow elsewhere: its weights have no part in this.
 */
final class StateFiles {

    private static final int HEADER_BYTES = 104;
    private static final int VERSION = 8;
    private static final int NARROW = 64;

    private final Options o;
    private final Griffin griffin;
    private final Path folder;

    private StateFiles(Options o, Griffin griffin, Path folder) {
        this.o = o;
        this.griffin = griffin;
        this.folder = folder;
    }

    static void run(Options o) {
        ModelShape s = o.shape;
        String config = s.config(s.layers).replace("\"hidden_size\": " + s.width, "\"hidden_size\": " + NARROW)
                .replace("\"intermediate_size\": " + 2 * s.mlpWidth, "\"intermediate_size\": " + 2 * NARROW);
        try {
            Path folder = Files.createTempDirectory("griffin-states");
            try (Griffin griffin = Griffin.builder(new RandomFiles(config)).device("cpu").threads(o.threads).open()) {
                new StateFiles(o, griffin, folder).run();
            } finally {
                try (Stream<Path> files = Files.walk(folder)) {
                    files.sorted(Comparator.reverseOrder()).forEach(file -> file.toFile().delete());
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void run() {
        int tokens = o.tokens > 0 ? o.tokens : griffin.config().window() + 52;
        int[] ids = new Random(7).ints(tokens, 3, griffin.config().vocabulary()).toArray();
        byte[] wide;
        try (Session session = griffin.newSession()) {
            session.generate(ids, GenerationOptions.DEFAULT.withMaxTokens(0), new GenerationListener() {});
            wide = session.snapshot();
        }
        Results.note("state after " + tokens + " tokens, as a CPU computes it (float32)");
        all("f32", wide);
        Results.note("the same, rounded as a GPU keeps it (bfloat16, recurrence in float32)");
        all("bf16", rounded(wide));
    }

    private void all(String kind, byte[] snapshot) {
        for (StateCompression compression : StateCompression.values()) {
            String name = kind + " " + compression.word() + ": ";
            Path file = folder.resolve(kind + "-" + compression.word() + ".state");
            try (Session session = griffin.restore(snapshot)) {
                byte[] packed = session.snapshot(compression);
                Results.line(name + "bytes", packed.length / 1048576.0, "MiB");
                Results.line(name + "share of float32", (double) packed.length / griffin.config().stateBytes(DType.F32), "");
                times(name + "snapshot in memory", () -> session.snapshot(compression));
                times(name + "save, forced to disk", () -> {
                    session.save(file, compression);
                    return file;
                });
            }
            Results.line(name + "load, the first one", millis(() -> load(file)), "ms");
            times(name + "load", () -> load(file));
        }
    }

    private Session load(Path file) {
        try (Session session = griffin.load(file)) {
            return session;
        }
    }

    private void times(String name, Supplier<?> work) {
        double[] millis = new double[Math.max(21, o.runs)];
        for (int i = 0; i < millis.length; i++) {
            millis[i] = millis(work);
        }
        Results.line(name + ", median", Team.median(millis), "ms");
        Results.line(name + ", slowest", Arrays.stream(millis).max().orElseThrow(), "ms");
    }

    private static double millis(Supplier<?> work) {
        long start = System.nanoTime();
        if (work.get() == null) {
            throw new IllegalStateException("nothing was done");
        }
        return (System.nanoTime() - start) / 1e6;
    }

    /** Through format version 1, which is nothing but the numbers: all but the recurrence loses its lower halves. */
    private byte[] rounded(byte[] snapshot) {
        ByteBuffer from = ByteBuffer.wrap(snapshot).order(ByteOrder.LITTLE_ENDIAN);
        int payload = Math.toIntExact(from.getLong(HEADER_BYTES - 8));
        byte[] out = Arrays.copyOf(snapshot, HEADER_BYTES + payload + 4);
        System.arraycopy(snapshot, snapshot.length - payload, out, HEADER_BYTES, payload);
        ByteBuffer to = ByteBuffer.wrap(out).order(ByteOrder.LITTLE_ENDIAN);
        to.putInt(VERSION, 1);
        int recurrence = 4 * griffin.config().recurrentLayers() * griffin.config().lruWidth();
        int seen = 4 * ((griffin.config().vocabulary() + 31) / 32);
        for (int at = HEADER_BYTES + recurrence; at < HEADER_BYTES + payload - seen; at += 4) {
            to.putInt(at, to.getInt(at) & 0xFFFF0000);
        }
        CRC32C crc = new CRC32C();
        crc.update(out, 0, out.length - 4);
        to.putInt(out.length - 4, (int) crc.getValue());
        return out;
    }
}
