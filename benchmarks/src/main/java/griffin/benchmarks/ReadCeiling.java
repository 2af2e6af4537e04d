package griffin.benchmarks;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/** How fast all cores together read memory: the sum of 2 GiB of float32, eight accumulators per thread. */
final class ReadCeiling implements AutoCloseable {

    static final long BYTES = 2L << 30;
    private static final VectorSpecies<Float> F = FloatVector.SPECIES_PREFERRED;
    private static final int STEP = 8 * F.vectorByteSize();
    private static final ByteOrder LITTLE = ByteOrder.LITTLE_ENDIAN;

    private final Arena arena = Arena.ofShared();
    private final MemorySegment data = arena.allocate(BYTES, 64);
    private final int threads;
    private final float[] sums;

    ReadCeiling(int threads) {
        this.threads = threads;
        sums = new float[threads * 32];
        Team.seconds(threads, id -> {
            for (long at = start(id); at < start(id + 1); at += 4) {
                data.set(ValueLayout.JAVA_FLOAT, at, (float) (at >> 2 & 1023) / 1024 - 0.5f);
            }
        });
        for (int i = 0; i < 3; i++) {
            measure(); // compiles the loop
        }
    }

    private long start(int thread) {
        return BYTES / STEP * thread / threads * STEP;
    }

    /** The best of five passes, in GB/s: a pass takes tens of milliseconds, and a late thread must not lower a ceiling. */
    double measure() {
        double best = 0;
        for (int i = 0; i < 5; i++) {
            best = Math.max(best, pass());
        }
        return best;
    }

    private double pass() {
        return BYTES / 1e9 / Team.seconds(threads, id -> sums[id * 32] = sum(data.asSlice(start(id), start(id + 1) - start(id))));
    }

    private static float sum(MemorySegment part) {
        float total = 0;
        long block = 1 << 20;
        for (long from = 0; from < part.byteSize(); from += block) {
            total += sumBlock(part, from, (int) Math.min(part.byteSize() - from, block));
        }
        return total;
    }

    private static float sumBlock(MemorySegment part, long from, int bytes) {
        FloatVector s0 = FloatVector.zero(F);
        FloatVector s1 = FloatVector.zero(F);
        FloatVector s2 = FloatVector.zero(F);
        FloatVector s3 = FloatVector.zero(F);
        FloatVector s4 = FloatVector.zero(F);
        FloatVector s5 = FloatVector.zero(F);
        FloatVector s6 = FloatVector.zero(F);
        FloatVector s7 = FloatVector.zero(F);
        int width = F.vectorByteSize();
        for (int i = 0; i < bytes; i += STEP) {
            long at = from + i;
            s0 = s0.add(FloatVector.fromMemorySegment(F, part, at, LITTLE));
            s1 = s1.add(FloatVector.fromMemorySegment(F, part, at + width, LITTLE));
            s2 = s2.add(FloatVector.fromMemorySegment(F, part, at + 2L * width, LITTLE));
            s3 = s3.add(FloatVector.fromMemorySegment(F, part, at + 3L * width, LITTLE));
            s4 = s4.add(FloatVector.fromMemorySegment(F, part, at + 4L * width, LITTLE));
            s5 = s5.add(FloatVector.fromMemorySegment(F, part, at + 5L * width, LITTLE));
            s6 = s6.add(FloatVector.fromMemorySegment(F, part, at + 6L * width, LITTLE));
            s7 = s7.add(FloatVector.fromMemorySegment(F, part, at + 7L * width, LITTLE));
        }
        return s0.add(s1).add(s2.add(s3)).add(s4.add(s5).add(s6.add(s7))).reduceLanes(jdk.incubator.vector.VectorOperators.ADD);
    }

    @Override
    public void close() {
        arena.close();
    }
}
