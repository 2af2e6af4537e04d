package griffin.sampling;

/**
 * Random numbers as a pure function of (seed, position, token): Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
 * 1, 2, 3", 2011) with key = seed and counter = (token / 4, position, 0, 0); word token mod 4 of the result.
 */
public final class Gumbel {

    private static final int M0 = 0xD2511F53;
    private static final int M1 = 0xCD9E8D57;
    private static final int W0 = 0x9E3779B9;
    private static final int W1 = 0xBB67AE85;

    /** No Gumbel number is further from zero than these: u lies in [2^-25, 1 - 2^-25]. */
    public static final float LOWEST = -2.86f, HIGHEST = 17.4f;

    private Gumbel() {}

    /** A standard Gumbel number -log(-log u), u = (top 24 bits + 1/2) / 2^24. */
    public static float at(long seed, int position, int token) {
        double u = ((philox(seed, token >>> 2, position, 0, 0, token & 3) >>> 8) + 0.5) * 0x1p-24;
        return (float) -Math.log(-Math.log(u));
    }

    /** Word {@code word} of Philox4x32-10. */
    static int philox(long key, int c0, int c1, int c2, int c3, int word) {
        int k0 = (int) key;
        int k1 = (int) (key >>> 32);
        for (int round = 0; round < 10; round++) {
            long p0 = (M0 & 0xFFFFFFFFL) * (c0 & 0xFFFFFFFFL);
            long p1 = (M1 & 0xFFFFFFFFL) * (c2 & 0xFFFFFFFFL);
            int n0 = (int) (p1 >>> 32) ^ c1 ^ k0;
            int n2 = (int) (p0 >>> 32) ^ c3 ^ k1;
            c1 = (int) p1;
            c3 = (int) p0;
            c0 = n0;
            c2 = n2;
            k0 += W0;
            k1 += W1;
        }
        return switch (word) {
            case 0 -> c0;
            case 1 -> c1;
            case 2 -> c2;
            default -> c3;
        };
    }
}
