package griffin.session;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.backend.StateLayout;
import griffin.error.StateFormatException;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.IntUnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What is packed is what was given, bit for bit or within the stated bound; what is damaged is refused. */
class StateSnapshotTest {

    private static final byte[] IDENTITY = new Random(3).ints(32, 0, 256).collect(java.io.ByteArrayOutputStream::new,
            java.io.ByteArrayOutputStream::write, (a, b) -> {}).toByteArray();
    private static final int[] IDS = new Random(4).ints(5000, 0, 40).toArray();

    /** What states can hold: noise, noise in bfloat16, nothing, every bit pattern, a few large values. */
    private static List<IntUnaryOperator> contents(long seed) {
        Random random = new Random(seed);
        return List.of(i -> Float.floatToRawIntBits((float) random.nextGaussian()),
                i -> Float.floatToRawIntBits((float) random.nextGaussian()) & 0xFFFF0000, i -> 0, i -> random.nextInt(),
                i -> i % 97 == 0 ? Float.floatToRawIntBits(1e30f) : random.nextInt(3),
                i -> random.nextBoolean() ? 0x7FC00000 : Float.floatToRawIntBits(random.nextFloat()));
    }

    private static StateLayout layout(Random random, int round) {
        return round == 0 ? new StateLayout(2, 1, 700, 3, 300, 900, 5000) // several blocks for each part
                : new StateLayout(random.nextInt(4), random.nextInt(3), 1 + random.nextInt(40), random.nextInt(4), 1 + random.nextInt(20),
                        1 + random.nextInt(30), 1 + random.nextInt(200));
    }

    @ParameterizedTest
    @EnumSource(names = {"NONE", "LOSSLESS"})
    void exactPackingsAreExact(Packing packing) {
        Random random = new Random(11);
        for (int round = 0; round < 60; round++) {
            StateLayout layout = layout(random, round);
            for (IntUnaryOperator content : contents(round)) {
                int tokens = random.nextInt(3) == 0 ? random.nextInt(4) : random.nextInt(2 * layout.window());
                byte[] plain = SavedStates.version1(IDENTITY, layout, IDS, tokens, content);
                byte[] packed = StateSnapshot.repack(plain, packing);
                SnapshotHeader header = StateSnapshot.verify(MemorySegment.ofArray(packed), "packed");
                assertEquals(packing, header.packing());
                assertEquals(2, header.version());
                assertEquals(tokens, header.tokens());
                assertTrue(header.isOf(IDS, tokens));
                assertEquals(plain.length - 108, header.plainBytes());
                assertTrue(packed.length <= plain.length + 4 + 12 * StateBlock.of(layout, tokens).size(),
                        () -> packed.length + " bytes of " + layout);
                byte[] again = StateSnapshot.repack(packed, Packing.NONE);
                assertArrayEquals(SavedStates.words(plain), SavedStates.words(again), layout + ", " + tokens + " tokens, round " + round);
            }
        }
    }

    @Test
    void eightBitsAreWithinHalfAScaleAndTheRestIsExact() {
        Random random = new Random(12);
        for (int round = 0; round < 60; round++) {
            StateLayout layout = layout(random, round);
            int tokens = 1 + random.nextInt(2 * layout.window());
            for (IntUnaryOperator content : contents(round)) {
                int[] before = SavedStates.words(SavedStates.version1(IDENTITY, layout, IDS, tokens, content));
                byte[] plain = SavedStates.version1(IDENTITY, layout, IDS, tokens, i -> before[i]);
                int[] after = SavedStates.words(StateSnapshot.repack(StateSnapshot.repack(plain, Packing.Q8), Packing.NONE));
                int from = layout.recurrentLayers() * layout.lruWidth() * (1 + layout.convRows());
                int to = before.length - layout.seenWords();
                assertArrayEquals(Arrays.copyOf(before, from), Arrays.copyOf(after, from), "recurrence");
                assertArrayEquals(Arrays.copyOfRange(before, to, before.length), Arrays.copyOfRange(after, to, after.length), "seen");
                for (int row = from; row < to; row += layout.headDim()) {
                    checkRow(before, after, row, layout.headDim());
                }
            }
        }
    }

    private static void checkRow(int[] before, int[] after, int from, int count) {
        double largest = 0;
        boolean finite = true;
        for (int i = from; i < from + count; i++) {
            float x = Float.intBitsToFloat(before[i]);
            finite &= Float.isFinite(x);
            largest = Math.max(largest, Math.abs(x));
        }
        for (int i = from; i < from + count && finite; i++) {
            double off = Math.abs((double) Float.intBitsToFloat(after[i]) - Float.intBitsToFloat(before[i]));
            assertTrue(off <= Math.max(1e-30, largest / 254 * 1.0001), "off by " + off + " in a row up to " + largest);
        }
    }

    /** A block with a number that is not finite is kept as it is, so that the failure shows where it would have shown. */
    @Test
    void eightBitsKeepWhatIsNotFinite() {
        StateLayout layout = SavedStates.SMALL;
        byte[] plain = SavedStates.version1(IDENTITY, layout, IDS, 9, i -> i % 5 == 0 ? 0x7FC00001 : 0x3F800123 + i);
        byte[] packed = StateSnapshot.repack(plain, Packing.Q8);
        assertArrayEquals(SavedStates.words(plain), SavedStates.words(StateSnapshot.repack(packed, Packing.NONE)));
    }

    @Test
    void ratiosOfNoiseAreThoseOfItsExponents() {
        StateLayout layout = new StateLayout(1, 2, 64, 3, 512, 256, 64);
        byte[] wide = SavedStates.version1(IDENTITY, layout, IDS, 600, contents(1).get(0));
        byte[] narrow = SavedStates.version1(IDENTITY, layout, IDS, 600, contents(1).get(1));
        assertEquals(0.83, size(wide, Packing.LOSSLESS), 0.02);
        assertEquals(0.50, size(narrow, Packing.NONE), 0.01);
        assertEquals(0.335, size(narrow, Packing.LOSSLESS), 0.02);
        assertEquals(0.255, size(wide, Packing.Q8), 0.005);
        assertEquals(0, size(SavedStates.version1(IDENTITY, layout, IDS, 600, i -> 0), Packing.LOSSLESS), 0.01);
    }

    private static double size(byte[] plain, Packing packing) {
        return (double) StateSnapshot.repack(plain, packing).length / plain.length;
    }

    @ParameterizedTest
    @EnumSource
    void everyDamagedBitIsRefused(Packing packing) {
        byte[] plain = SavedStates.version1(IDENTITY, SavedStates.SMALL, IDS, 9, contents(5).get(0));
        byte[] good = StateSnapshot.repack(plain, packing);
        for (int bit = 0; bit < 8 * good.length; bit++) {
            refuses(flipped(good, bit), "bit " + bit);
        }
        for (int bit = 0; bit < 8 * plain.length; bit++) {
            refuses(flipped(plain, bit), "version 1, bit " + bit);
        }
        for (int length = 0; length < good.length; length++) {
            refuses(Arrays.copyOf(good, length), "length " + length);
        }
        refuses(Arrays.copyOf(good, good.length + 1), "one byte more");
    }

    private static byte[] flipped(byte[] good, int bit) {
        byte[] bad = good.clone();
        bad[bit / 8] ^= (byte) (1 << bit % 8);
        return bad;
    }

    private static void refuses(byte[] bad, String what) {
        assertThrows(StateFormatException.class, () -> StateSnapshot.verify(MemorySegment.ofArray(bad), "bad"), what);
    }

    /** Files whose checksums fit, as an attacker would make them: the named error or a state, and no memory beyond the file's measure. */
    @Test
    void sealedNonsenseGivesOnlyTheNamedError() {
        Random random = new Random(13);
        int refused = 0;
        for (int i = 0; i < 6_000; i++) {
            Packing packing = Packing.values()[i % 3];
            byte[] bad = StateSnapshot.repack(
                    SavedStates.version1(IDENTITY, SavedStates.SMALL, IDS, 1 + random.nextInt(9), contents(i).get(i % 6)), packing);
            for (int n = random.nextInt(3); n >= 0; n--) {
                int at = random.nextInt(4) > 0 ? 8 + random.nextInt(180) : random.nextInt(bad.length);
                bad[Math.min(at, bad.length - 1)] = (byte) (random.nextBoolean() ? random.nextInt() : random.nextInt(4));
            }
            SavedStates.seal(bad);
            try {
                SavedStates.words(StateSnapshot.repack(StateSnapshot.repack(bad, Packing.LOSSLESS), Packing.NONE));
            } catch (StateFormatException e) {
                refused++;
            }
        }
        assertTrue(refused > 1_500 && refused < 5_700, refused + " of 6000 refused");
    }
}
