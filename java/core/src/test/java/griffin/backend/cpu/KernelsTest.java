package griffin.backend.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import griffin.Seed;
import griffin.weights.BFloat16;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import java.util.function.ToDoubleBiFunction;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Every form of the kernels gives the bits of the scalar one, at all small sizes and odd places. The elementwise loops have the process's
 * vector width whatever the class; the build runs this test once per width.
 */
@ExtendWith(Seed.class)
class KernelsTest {

    private static final int MAX = 70;
    private static final int ROOM = 16;

    /** Fresh but equal inputs for each of the two runs of a kernel, and the array that it writes. */
    private static final class Inputs {
        final Random random;
        final float[] out = new float[20 * (MAX + ROOM)];
        final float[] lanes = new float[16 * Kernels.LANES + MAX];

        Inputs(long seed) {
            random = new Random(seed);
            for (int i = 0; i < out.length; i++) {
                out[i] = (float) random.nextGaussian();
            }
        }

        float[] floats(int count) {
            float[] x = new float[count];
            for (int i = 0; i < count; i++) {
                x[i] = switch (random.nextInt(40)) {
                    case 0 -> 0f;
                    case 1 -> -0f;
                    case 2 -> (float) random.nextGaussian() * 1e4f;
                    case 3 -> (float) random.nextGaussian() * 1e-38f;
                    case 4 -> (float) random.nextGaussian() * 100;
                    default -> (float) random.nextGaussian();
                };
            }
            return x;
        }

        int at() {
            return random.nextInt(ROOM);
        }

        MemorySegment bf16(int count) {
            MemorySegment data = Arena.ofAuto().allocate(2L * count + 1).asSlice(1);
            float[] x = floats(count);
            for (int i = 0; i < count; i++) {
                data.set(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * i, BFloat16.of(x[i]));
            }
            return data;
        }

        MemorySegment f32(int count) {
            MemorySegment data = Arena.ofAuto().allocate(4L * count + 1).asSlice(1);
            MemorySegment.copy(floats(count), 0, data, ValueLayout.JAVA_FLOAT_UNALIGNED, 0, count);
            return data;
        }
    }

    private interface Call {
        void run(Kernels kernels, Inputs in, int n);
    }

    private static void check(int bits, String what, Call call) {
        int preferred = FloatVector.SPECIES_PREFERRED.vectorBitSize();
        assumeTrue(bits <= preferred, "this processor has vectors of " + preferred + " bits, not " + bits);
        Kernels scalar = new ScalarKernels();
        Kernels vector = KernelChoice.vectors(bits);
        Random seeds = Seed.random(what);
        for (int n = 1; n <= MAX; n++) {
            long seed = seeds.nextLong();
            Inputs expected = new Inputs(seed);
            Inputs found = new Inputs(seed);
            call.run(scalar, expected, n);
            call.run(vector, found, n);
            for (int i = 0; i < found.out.length; i++) {
                assertEquals(Float.floatToIntBits(expected.out[i]), Float.floatToIntBits(found.out[i]),
                        what + " of " + n + " with " + bits + " bits: out[" + i + "] is " + found.out[i] + ", not " + expected.out[i]);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {128, 256, 512})
    void dotAndMax(int bits) {
        check(bits, "dot", (k, in, n) -> in.out[0] = k.dot(in.floats(MAX + ROOM), in.at(), in.floats(MAX + ROOM), in.at(), n, in.lanes));
        check(bits, "max", (k, in, n) -> in.out[0] = k.max(in.floats(MAX + ROOM), in.at(), n));
    }

    @ParameterizedTest
    @ValueSource(ints = {128, 256, 512})
    void matvec(int bits) {
        check(bits, "matvecBf16", (k, in, n) -> {
            int rows = 1 + in.random.nextInt(9);
            int at = in.at();
            k.matvecBf16(in.bf16(at + rows * n), at, rows, n, in.floats(MAX + ROOM), in.at(), in.out, in.at(), in.lanes);
        });
        check(bits, "matvecF32", (k, in, n) -> {
            int rows = 1 + in.random.nextInt(9);
            int at = in.at();
            k.matvecF32(in.f32(at + rows * n), at, rows, n, in.floats(MAX + ROOM), in.at(), in.out, in.at(), in.lanes);
        });
    }

    @ParameterizedTest
    @ValueSource(ints = {128, 256, 512})
    void matmul(int bits) {
        for (int repeat = 0; repeat < 4; repeat++) {
            check(bits, "matmul " + repeat, (k, in, n) -> {
                int m = 1 + in.random.nextInt(9);
                int rows = 1 + in.random.nextInt(9);
                int xStride = n + in.random.nextInt(5);
                int wStride = n + in.random.nextInt(5);
                k.matmul(in.floats(ROOM + m * xStride), in.at(), xStride, m, in.floats(ROOM + rows * wStride), in.at(), wStride, rows, n,
                        in.out, in.at(), rows + in.random.nextInt(5), in.lanes);
            });
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {128, 256, 512})
    void transpose(int bits) {
        for (int repeat = 0; repeat < 4; repeat++) {
            check(bits, "transpose " + repeat, (k, in, n) -> {
                int rows = 1 + in.random.nextInt(36);
                int columns = Math.min(n, 36);
                int inStride = columns + in.random.nextInt(5);
                k.transpose(in.floats(ROOM + rows * inStride), in.at(), inStride, rows, columns, in.out, in.at(),
                        rows + in.random.nextInt(5),
                        new float[2 * Kernels.LANES * Kernels.LANES]);
            });
        }
    }

    /** The rows that there are: what lanes beyond them hold is nobody's. */
    @ParameterizedTest
    @ValueSource(ints = {128, 256, 512})
    void matmulRowLanes(int bits) {
        int width = KernelChoice.vectors(bits).rowLanes();
        for (int repeat = 0; repeat < 4; repeat++) {
            check(bits, "matmulRowLanes " + repeat, (k, in, n) -> {
                int m = 1 + in.random.nextInt(width);
                int apart = 2 + in.random.nextInt(3);
                float[] out = new float[ROOM + 4 * apart * width];
                int outAt = in.at();
                k.matmulRowLanes(in.floats(ROOM + (n + 15) * width), in.at(), width, m, in.floats(8 * Kernels.ROW_LANES_STRIDE), n,
                        in.floats(ROOM + 4 * apart), in.at(), out, outAt, apart,
                        new float[Kernels.LANES * Kernels.ROW_LANES_TILE * width]);
                for (int r = 0; r < 4 * apart; r++) {
                    System.arraycopy(out, outAt + r * width, in.out, r * m, m);
                }
            });
        }
    }

    /** And the bits of one row alone. */
    @ParameterizedTest
    @ValueSource(ints = {128, 256, 512})
    void rowLanesGiveTheBitsOfTheirRows(int bits) {
        int preferred = FloatVector.SPECIES_PREFERRED.vectorBitSize();
        assumeTrue(bits <= preferred, "this processor has vectors of " + preferred + " bits, not " + bits);
        Kernels kernels = KernelChoice.vectors(bits);
        int width = kernels.rowLanes();
        int tile = Kernels.ROW_LANES_TILE;
        float[] none = new float[tile];
        java.util.Arrays.fill(none, -0f);
        for (int n : new int[] {1, 15, 16, 17, 40, 64, 317, 320, 961}) {
            Inputs in = new Inputs(Seed.random("rows side by side of " + n).nextLong());
            float[] x = in.floats(width * n);
            MemorySegment w = in.bf16(tile * n);
            float[] wide = new float[tile * Kernels.ROW_LANES_STRIDE];
            kernels.widenRows(w, 0, 2, n, wide, 0);
            kernels.widenRows(w, n, 2, n, wide, 4 * Kernels.ROW_LANES_STRIDE);
            float[] laid = new float[(n + 15) * width];
            for (int k = 0; k < n; k += 16) {
                kernels.transpose(x, k, n, width, Math.min(16, n - k), laid, k / 16 * width, (n + 15) / 16 * width, new float[512]);
            }
            float[] out = new float[tile * width];
            float[] alone = new float[tile];
            for (int m : new int[] {1, width / 2, width / 2 + 1, width}) {
                kernels.matmulRowLanes(laid, 0, width, m, wide, n, none, 0, out, 0, 2, new float[Kernels.LANES * tile * width]);
                for (int i = 0; i < m; i++) {
                    kernels.matvecBf16(w, 0, tile, n, x, i * n, alone, 0, new float[16 * Kernels.LANES + n]);
                    for (int r = 0; r < tile; r++) {
                        assertEquals(Float.floatToIntBits(alone[r]), Float.floatToIntBits(out[r * width + i]),
                                "row " + i + " of " + m + ", weights " + r + ", " + n + " columns");
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {128, 256, 512})
    void widenRows(int bits) {
        check(bits, "widenRows", (k, in, n) -> {
            int at = in.at();
            int apart = 1 + in.random.nextInt(4);
            float[] out = new float[ROOM + 4 * Kernels.ROW_LANES_STRIDE];
            int outAt = in.at();
            k.widenRows(in.bf16(at + 4 * apart * n), at, apart, n, out, outAt);
            for (int r = 0; r < 4; r++) {
                System.arraycopy(out, outAt + r * Kernels.ROW_LANES_STRIDE, in.out, r * n, n);
            }
        });
    }

    @ParameterizedTest
    @ValueSource(ints = {128, 256, 512})
    void elementwise(int bits) {
        check(bits, "widenBf16", (k, in, n) -> {
            int at = in.at();
            k.widenBf16(in.bf16(at + n), at, n, in.out, in.at());
        });
        check(bits, "add", (k, in, n) -> k.add(in.out, in.at(), in.floats(MAX + ROOM), in.at(), n));
        check(bits, "scale", (k, in, n) -> k.scale(in.floats(MAX + ROOM), in.at(), 0.3f, in.floats(MAX), n, in.out, in.at()));
        check(bits, "gatedGelu",
                (k, in, n) -> k.gatedGelu(in.floats(MAX + ROOM), in.at(), in.floats(MAX + ROOM), in.at(), in.out, in.at(), n, in.lanes));
        check(bits, "softCap", (k, in, n) -> k.softCap(in.out, in.at(), n, 3));
        check(bits, "expScaled", (k, in, n) -> k.expScaled(in.out, in.at(), n, 2.5f, 0.7f));
    }

    @ParameterizedTest
    @ValueSource(ints = {128, 256, 512})
    void convolutionAndSums(int bits) {
        check(bits, "conv", (k, in, n) -> {
            int taps = 2 + in.random.nextInt(5);
            int from = in.at();
            int width = from + n + in.random.nextInt(4);
            float[][] rows = new float[taps][];
            int[] at = new int[taps];
            for (int t = 0; t < taps; t++) {
                rows[t] = in.floats(MAX + ROOM);
                at[t] = in.at();
            }
            k.conv(rows, at, taps, in.floats(taps * width), width, in.floats(width), from, n, in.out, in.at());
        });
        check(bits, "weightedSum", (k, in, n) -> {
            int count = 1 + in.random.nextInt(9);
            int stride = n + in.random.nextInt(5);
            k.weightedSum(in.floats(count + ROOM), in.at(), in.floats(ROOM + count * stride), in.at(), stride, count, in.out, in.at(), n);
        });
    }

    @ParameterizedTest
    @ValueSource(ints = {128, 256, 512})
    void gatesAndRecurrence(int bits) {
        check(bits, "gateBf16", (k, in, n) -> {
            int from = in.random.nextInt(5);
            int block = from + n + in.random.nextInt(5);
            int at = in.at();
            k.gateBf16(in.floats(ROOM + block), in.at(), in.bf16(at + block * block), at, block, from, n, in.floats(ROOM + block), in.at(),
                    in.out, in.at());
        });
        check(bits, "gateF32", (k, in, n) -> {
            int from = in.random.nextInt(5);
            int block = from + n + in.random.nextInt(5);
            k.gateF32(in.floats(ROOM + block), in.at(), in.floats(ROOM + block * block), in.at(), block, from, n, in.floats(ROOM + block),
                    in.at(), in.out, in.at());
        });
        for (boolean reset : new boolean[] {false, true}) {
            check(bits, "lru" + (reset ? " at a reset" : ""), (k, in, n) -> {
                float[] decay = in.floats(MAX + ROOM);
                for (int i = 0; i < decay.length; i++) {
                    decay[i] = -Math.abs(decay[i]);
                }
                k.lru(in.floats(MAX + ROOM), in.at(), in.floats(MAX + ROOM), in.at(), decay, in.at(), in.floats(MAX + ROOM), in.at(), reset,
                        in.out, in.at(), in.out, 10 * MAX + in.at(), n);
            });
        }
    }

    /** Longer than the room that it goes through, and into each of its inputs. */
    @ParameterizedTest
    @ValueSource(ints = {128, 256, 512})
    void longGatedGelu(int bits) {
        int preferred = FloatVector.SPECIES_PREFERRED.vectorBitSize();
        assumeTrue(bits <= preferred, "this processor has vectors of " + preferred + " bits, not " + bits);
        Random random = Seed.random("long gatedGelu " + bits);
        for (int n : new int[] {255, 256, 257, 511, 512, 700}) {
            float[][] scalar = {new float[n], new float[n]};
            for (int i = 0; i < n; i++) {
                scalar[0][i] = (float) random.nextGaussian() * 4;
                scalar[1][i] = (float) random.nextGaussian();
            }
            float[][] vector = {scalar[0].clone(), scalar[1].clone()};
            int target = random.nextInt(2);
            float[] lanes = new float[16 * Kernels.LANES];
            new ScalarKernels().gatedGelu(scalar[0], 0, scalar[1], 0, scalar[target], 0, n, lanes);
            KernelChoice.vectors(bits).gatedGelu(vector[0], 0, vector[1], 0, vector[target], 0, n, lanes);
            assertArrayEquals(scalar[target], vector[target], "n = " + n + " into input " + target);
        }
    }

    /** Not a number goes in, not a number comes out: a broken model shows, and no form of the kernels hides it. */
    @ParameterizedTest
    @ValueSource(ints = {128, 256, 512})
    void notANumberIsKept(int bits) {
        ToDoubleBiFunction<Kernels, float[]> gelu = (k, x) -> {
            k.gatedGelu(x, 0, new float[] {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 0, x, 0, 17, new float[16 * Kernels.LANES]);
            return x[3] + x[16];
        };
        ToDoubleBiFunction<Kernels, float[]> cap = (k, x) -> {
            k.softCap(x, 0, 17, 30);
            return x[3] + x[16];
        };
        ToDoubleBiFunction<Kernels, float[]> exp = (k, x) -> {
            k.expScaled(x, 0, 17, 0, 1);
            return x[3] + x[16];
        };
        ToDoubleBiFunction<Kernels, float[]> max = (k, x) -> k.max(x, 0, 17);
        ToDoubleBiFunction<Kernels, float[]> lru = (k, x) -> {
            float[] out = new float[17];
            k.lru(new float[17], 0, x, 0, x.clone(), 0, new float[17], 0, false, new float[17], 0, out, 0, 17);
            return out[3] + out[16];
        };
        int preferred = FloatVector.SPECIES_PREFERRED.vectorBitSize();
        assumeTrue(bits <= preferred, "this processor has vectors of " + preferred + " bits, not " + bits);
        for (var call : java.util.List.of(gelu, cap, exp, max, lru)) {
            for (Kernels kernels : new Kernels[] {new ScalarKernels(), KernelChoice.vectors(bits)}) {
                for (int nan : new int[] {3, 16}) {
                    float[] x = new float[17];
                    x[nan] = Float.NaN;
                    assertEquals(Double.NaN, call.applyAsDouble(kernels, x), kernels.getClass() + " with NaN at " + nan);
                }
            }
        }
    }

    /** The forced width is in force: a second and third run of this class by the build rely on it. */
    @org.junit.jupiter.api.Test
    void elementwiseLoopsHaveTheRequestedWidth() {
        VectorSpecies<Float> width = VectorElementary.F;
        assertEquals(Integer.getInteger("griffin.cpu.vectorBits", FloatVector.SPECIES_PREFERRED.vectorBitSize()), width.vectorBitSize());
    }
}
