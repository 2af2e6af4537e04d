package griffin.benchmarks;

/** How fast all cores together copy float32 arrays far larger than the caches; GB/s, bytes read plus bytes written. */
final class CopyCeiling {

    /** Per thread. */
    private static final int FLOATS = 1 << 26;

    private final float[][] from;
    private final float[][] to;

    CopyCeiling(int threads) {
        from = new float[threads][FLOATS / threads];
        to = new float[threads][FLOATS / threads];
        measure();
    }

    double measure() {
        double bytes = 8.0 * from.length * from[0].length;
        return bytes / 1e9 / Team.seconds(from.length, id -> System.arraycopy(from[id], 0, to[id], 0, from[id].length));
    }
}
