package griffin.cache;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.zip.CRC32C;

/**
 * A prefix as a file. Little-endian:
 *
 * <pre>
 *   0  magic "GRIFPREF"             8 bytes
 *   8  format version, 1            i32
 *  12  tokens                       i32
 *  16  model identity               32 bytes
 *  48  digest of the prefix         32 bytes, see {@link PrefixKey}
 *  80  number of logits             i32: 0 or V
 *  84  bytes of the snapshot        i32
 *  88  logits                       float32
 *      snapshot
 *  end CRC-32C of all before        i32
 * </pre>
 */
final class PrefixFile {

    private static final int HEADER = 88;
    private static final byte[] MAGIC = {'G', 'R', 'I', 'F', 'P', 'R', 'E', 'F'};
    private static final int VERSION = 1;

    /** What a file has. */
    record Content(byte[] snapshot, float[] logits) {}

    private PrefixFile() {}

    /** Bytes of a file with this content. */
    static long bytes(byte[] snapshot, float[] logits) {
        return HEADER + 4L * (logits == null ? 0 : logits.length) + snapshot.length + 4;
    }

    /** The pieces of a file, in order. */
    static ByteBuffer[] pieces(byte[] identity, PrefixKey key, byte[] snapshot, float[] logits) {
        int count = logits == null ? 0 : logits.length;
        ByteBuffer head = ByteBuffer.allocate(HEADER + 4 * count).order(ByteOrder.LITTLE_ENDIAN);
        head.put(MAGIC).putInt(VERSION).putInt(key.length()).put(identity).put(HexFormat.of().parseHex(key.digest()));
        head.putInt(count).putInt(snapshot.length);
        for (int i = 0; i < count; i++) {
            head.putFloat(logits[i]);
        }
        head.flip();
        CRC32C crc = new CRC32C();
        crc.update(head.duplicate());
        crc.update(snapshot);
        ByteBuffer end = ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt((int) crc.getValue()).flip();
        return new ByteBuffer[] {head, ByteBuffer.wrap(snapshot), end};
    }

    /**
     * Reads and checks a file.
     *
     * @return null when it is not a whole file of this model and key
     */
    static Content read(Path file, byte[] identity, PrefixKey key) throws IOException {
        try (FileChannel channel = FileChannel.open(file)) {
            ByteBuffer head = fill(channel, HEADER);
            if (head == null || !isOf(head, identity, key)) {
                return null;
            }
            int count = head.getInt(HEADER - 8);
            int size = head.getInt(HEADER - 4);
            if (count < 0 || size < 0 || channel.size() != HEADER + 4L * count + size + 4) {
                return null;
            }
            ByteBuffer logits = fill(channel, 4 * count);
            ByteBuffer snapshot = fill(channel, size);
            ByteBuffer end = fill(channel, 4);
            if (logits == null || snapshot == null || end == null) {
                return null;
            }
            CRC32C crc = new CRC32C();
            crc.update(head.duplicate());
            crc.update(logits.duplicate());
            crc.update(snapshot.duplicate());
            return end.getInt(0) == (int) crc.getValue() ? new Content(snapshot.array(), floats(logits, count)) : null;
        }
    }

    private static boolean isOf(ByteBuffer head, byte[] identity, PrefixKey key) {
        byte[] bytes = head.array();
        return Arrays.equals(bytes, 0, MAGIC.length, MAGIC, 0, MAGIC.length) && head.getInt(8) == VERSION
                && head.getInt(12) == key.length() && Arrays.equals(bytes, 16, 48, identity, 0, 32)
                && HexFormat.of().formatHex(bytes, 48, 80).equals(key.digest());
    }

    private static float[] floats(ByteBuffer bytes, int count) {
        if (count == 0) {
            return null;
        }
        float[] floats = new float[count];
        bytes.asFloatBuffer().get(floats);
        return floats;
    }

    /** The next bytes of the file, or null when it ends before. */
    private static ByteBuffer fill(FileChannel channel, int size) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
        while (bytes.hasRemaining()) {
            if (channel.read(bytes) < 0) {
                return null;
            }
        }
        return bytes.flip();
    }
}
