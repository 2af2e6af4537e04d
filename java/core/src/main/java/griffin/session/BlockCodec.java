package griffin.session;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** The elements of a block as bytes, in one of five encodings, and back. Little-endian. Works from several threads at once. */
final class BlockCodec {

    /** Elements as they are: 4 bytes each. */
    static final int F32 = 0;
    /** The upper halves of float32 elements whose lower halves are zero: 2 bytes each. */
    static final int BF16 = 1;
    /** Four byte planes, highest first: i32 length, then as many bytes; deflated unless there are as many as elements. */
    static final int F32_PLANES = 2;
    /** The same of upper halves: two planes. */
    static final int BF16_PLANES = 3;
    /** Each row: float32 scale, then one signed byte per element, which times the scale is the element to within half a scale. */
    static final int Q8 = 4;

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;

    /** Loops run over arrays of this many elements, which stay in the first cache and are what the compiler vectorizes. */
    private static final int TILE = 4096;
    /** Rows of smaller numbers are zero in 8 bits: the inverse of their scale would not be finite. */
    private static final float LEAST = 1e-30f;

    /**
     * What a block becomes.
     *
     * @param bytes length of the encoded form
     * @param data  the encoded form where finding its length has made it, else null
     */
    record Encoded(int encoding, int bytes, byte[] data) {}

    private BlockCodec() {}

    /** The encoding of a block of the exported slot {@code slot}: the shortest that {@code packing} allows. */
    static Encoded choose(MemorySegment slot, StateBlock block, Packing packing) {
        if (packing == Packing.Q8 && block.part() == StateBlock.Part.WINDOW && finite(slot, block)) {
            return new Encoded(Q8, block.elements() / block.row() * (4 + block.row()), null);
        }
        boolean narrow = block.part() != StateBlock.Part.SEEN && lowerHalvesAreZero(slot, block);
        Encoded plain = new Encoded(narrow ? BF16 : F32, (narrow ? 2 : 4) * block.elements(), null);
        if (packing == Packing.NONE) {
            return plain;
        }
        Encoded planes = planes(slot, block, narrow);
        return planes.bytes < plain.bytes ? planes : plain;
    }

    private static boolean lowerHalvesAreZero(MemorySegment slot, StateBlock block) {
        int[] tile = new int[TILE];
        for (int from = 0; from < block.elements(); from += TILE) {
            int count = Math.min(TILE, block.elements() - from);
            MemorySegment.copy(slot, INT, block.at() + 4L * from, tile, 0, count);
            int any = 0;
            for (int i = 0; i < count; i++) {
                any |= tile[i];
            }
            if ((any & 0xFFFF) != 0) {
                return false;
            }
        }
        return true;
    }

    private static boolean finite(MemorySegment slot, StateBlock block) {
        float[] row = new float[block.row()];
        for (int from = 0; from < block.elements(); from += row.length) {
            MemorySegment.copy(slot, FLOAT, block.at() + 4L * from, row, 0, row.length);
            if (!Float.isFinite(largest(row))) {
                return false;
            }
        }
        return true;
    }

    /** The largest magnitude, NaN if any is NaN. */
    private static float largest(float[] row) {
        float largest = 0;
        for (float x : row) {
            largest = Math.max(largest, Math.abs(x));
        }
        return largest;
    }

    private static Encoded planes(MemorySegment slot, StateBlock block, boolean narrow) {
        int count = narrow ? 2 : 4;
        int n = block.elements();
        int[] words = new int[n];
        MemorySegment.copy(slot, INT, block.at(), words, 0, n);
        byte[][] stored = new byte[count][];
        int bytes = 4 * count;
        for (int p = 0; p < count; p++) {
            byte[] plane = new byte[n];
            for (int i = 0; i < n; i++) {
                plane[i] = (byte) (words[i] >>> 24 - 8 * p);
            }
            stored[p] = BytePlanes.deflate(plane);
            bytes += stored[p].length;
        }
        byte[] data = new byte[bytes];
        MemorySegment out = MemorySegment.ofArray(data);
        long at = 0;
        for (byte[] plane : stored) {
            out.set(INT, at, plane.length);
            MemorySegment.copy(plane, 0, out, BYTE, at + 4, plane.length);
            at += 4 + plane.length;
        }
        return new Encoded(narrow ? BF16_PLANES : F32_PLANES, bytes, data);
    }

    /** Writes the encoded form of a block to {@code out} from byte {@code to}. */
    static void write(MemorySegment slot, StateBlock block, Encoded encoded, MemorySegment out, long to) {
        if (encoded.data != null) {
            MemorySegment.copy(encoded.data, 0, out, BYTE, to, encoded.bytes);
            return;
        }
        switch (encoded.encoding) {
            case F32 -> MemorySegment.copy(slot, block.at(), out, to, encoded.bytes);
            case BF16 -> writeUpperHalves(slot, block, out, to);
            case Q8 -> writeScaledBytes(slot, block, out, to);
            default -> throw new IllegalStateException("encoding " + encoded.encoding);
        }
    }

    private static void writeUpperHalves(MemorySegment slot, StateBlock block, MemorySegment out, long to) {
        int[] words = new int[TILE];
        short[] halves = new short[TILE];
        for (int from = 0; from < block.elements(); from += TILE) {
            int count = Math.min(TILE, block.elements() - from);
            MemorySegment.copy(slot, INT, block.at() + 4L * from, words, 0, count);
            for (int i = 0; i < count; i++) {
                halves[i] = (short) (words[i] >>> 16);
            }
            MemorySegment.copy(halves, 0, out, SHORT, to + 2L * from, count);
        }
    }

    private static void writeScaledBytes(MemorySegment slot, StateBlock block, MemorySegment out, long to) {
        float[] row = new float[block.row()];
        byte[] bytes = new byte[row.length];
        long at = to;
        for (int from = 0; from < block.elements(); from += row.length) {
            MemorySegment.copy(slot, FLOAT, block.at() + 4L * from, row, 0, row.length);
            float largest = largest(row);
            boolean any = largest >= LEAST;
            float inverse = any ? 127 / largest : 0;
            for (int i = 0; i < row.length; i++) {
                bytes[i] = (byte) Math.rint(row[i] * inverse);
            }
            out.set(FLOAT, at, any ? largest / 127 : 0);
            MemorySegment.copy(bytes, 0, out, BYTE, at + 4, bytes.length);
            at += 4 + bytes.length;
        }
    }

    /**
     * Decodes a block into the exported slot {@code slot}.
     *
     * @return whether the bytes were a block of this encoding; if not, the block's place in the slot is undefined
     */
    static boolean read(int encoding, MemorySegment in, long from, int bytes, StateBlock block, MemorySegment slot) {
        int n = block.elements();
        return switch (encoding) {
            case F32 -> {
                if (bytes == 4L * n) {
                    MemorySegment.copy(in, from, slot, block.at(), bytes);
                }
                yield bytes == 4L * n;
            }
            case BF16 -> bytes == 2L * n && readUpperHalves(in, from, block, slot);
            case F32_PLANES -> readPlanes(in, from, bytes, 4, block, slot);
            case BF16_PLANES -> readPlanes(in, from, bytes, 2, block, slot);
            case Q8 -> block.part() == StateBlock.Part.WINDOW && bytes == (long) n / block.row() * (4 + block.row())
                    && readScaledBytes(in, from, block, slot);
            default -> false;
        };
    }

    private static boolean readUpperHalves(MemorySegment in, long from, StateBlock block, MemorySegment slot) {
        int[] words = new int[TILE];
        short[] halves = new short[TILE];
        for (int at = 0; at < block.elements(); at += TILE) {
            int count = Math.min(TILE, block.elements() - at);
            MemorySegment.copy(in, SHORT, from + 2L * at, halves, 0, count);
            for (int i = 0; i < count; i++) {
                words[i] = halves[i] << 16;
            }
            MemorySegment.copy(words, 0, slot, INT, block.at() + 4L * at, count);
        }
        return true;
    }

    private static boolean readPlanes(MemorySegment in, long from, int bytes, int count, StateBlock block, MemorySegment slot) {
        int n = block.elements();
        byte[][] planes = new byte[4][];
        long at = from;
        for (int p = 0; p < count; p++) {
            long left = from + bytes - at - 4;
            int length = left < 0 ? -1 : in.get(INT, at);
            if (length < 0 || length > Math.min(left, n)) {
                return false;
            }
            byte[] stored = new byte[length];
            MemorySegment.copy(in, BYTE, at + 4, stored, 0, length);
            planes[p] = length == n ? stored : BytePlanes.inflate(stored, n);
            if (planes[p] == null) {
                return false;
            }
            at += 4 + length;
        }
        int[] words = new int[TILE];
        for (int first = 0; first < n; first += TILE) {
            int tile = Math.min(TILE, n - first);
            join(planes, first, tile, words);
            MemorySegment.copy(words, 0, slot, INT, block.at() + 4L * first, tile);
        }
        return at == from + bytes;
    }

    /** Elements from {@code first} of two planes, or four. */
    private static void join(byte[][] planes, int first, int count, int[] words) {
        byte[] a = planes[0];
        byte[] b = planes[1];
        byte[] c = planes[2];
        byte[] d = planes[3];
        if (c == null) {
            for (int i = 0; i < count; i++) {
                words[i] = a[first + i] << 24 | (b[first + i] & 255) << 16;
            }
        } else {
            for (int i = 0; i < count; i++) {
                words[i] = a[first + i] << 24 | (b[first + i] & 255) << 16 | (c[first + i] & 255) << 8 | d[first + i] & 255;
            }
        }
    }

    private static boolean readScaledBytes(MemorySegment in, long from, StateBlock block, MemorySegment slot) {
        float[] row = new float[block.row()];
        byte[] bytes = new byte[row.length];
        long at = from;
        for (int to = 0; to < block.elements(); to += row.length) {
            float scale = in.get(FLOAT, at);
            MemorySegment.copy(in, BYTE, at + 4, bytes, 0, bytes.length);
            for (int i = 0; i < row.length; i++) {
                row[i] = bytes[i] * scale;
            }
            MemorySegment.copy(row, 0, slot, FLOAT, block.at() + 4L * to, row.length);
            at += 4 + bytes.length;
        }
        return true;
    }
}
