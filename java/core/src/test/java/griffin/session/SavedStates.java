package griffin.session;

import griffin.backend.StateLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntUnaryOperator;
import java.util.zip.CRC32C;

/** Snapshots made and taken apart by plain loops, without a model: what the codec is compared with. */
public final class SavedStates {

    public static final StateLayout SMALL = new StateLayout(2, 1, 6, 3, 5, 4, 40);

    private SavedStates() {}

    /** A snapshot in format version 1: nothing but numbers. {@code word} gives the bits of element i of the payload. */
    public static byte[] version1(byte[] identity, StateLayout l, int[] ids, int length, IntUnaryOperator word) {
        int rows = Math.min(length, l.window());
        int elements =
                l.recurrentLayers() * l.lruWidth() * (1 + l.convRows()) + 2 * l.attentionLayers() * rows * l.headDim() + l.seenWords();
        ByteBuffer out = ByteBuffer.allocate(104 + 4 * elements + 4).order(ByteOrder.LITTLE_ENDIAN);
        out.put("GRIFSTAT".getBytes(StandardCharsets.US_ASCII)).putInt(1).putInt(0).put(identity);
        out.putInt(l.recurrentLayers()).putInt(l.attentionLayers()).putInt(l.lruWidth()).putInt(l.convRows()).putInt(l.window())
                .putInt(l.headDim()).putInt(l.vocabulary());
        long hash = 0;
        for (int i = 0; i < length; i++) {
            long h = (hash ^ ids[i]) * 0x9E3779B97F4A7C15L;
            hash = h ^ h >>> 32;
        }
        out.putInt(length).putInt(-1).putInt(-1).putLong(hash).putLong(4L * elements);
        for (int i = 0; i < elements; i++) {
            out.putInt(word.applyAsInt(i));
        }
        out.putInt(crc(out.array(), 0, out.position()));
        return out.array();
    }

    /** The payload of a snapshot of either version that is not compressed, in float32 bits. */
    public static int[] words(byte[] snapshot) {
        ByteBuffer in = ByteBuffer.wrap(snapshot).order(ByteOrder.LITTLE_ENDIAN);
        List<Integer> words = new ArrayList<>();
        if (in.getInt(8) == 1) {
            for (int at = 104; at < snapshot.length - 4; at += 4) {
                words.add(in.getInt(at));
            }
        } else {
            int blocks = in.getInt(104);
            int at = 108 + 12 * blocks + 4;
            for (int b = 0; b < blocks; b++) {
                int encoding = in.getInt(108 + 12 * b);
                int end = at + in.getInt(108 + 12 * b + 4);
                for (; at < end; at += encoding == 0 ? 4 : 2) {
                    words.add(switch (encoding) {
                        case 0 -> in.getInt(at);
                        case 1 -> in.getShort(at) << 16;
                        default -> throw new AssertionError("encoding " + encoding);
                    });
                }
            }
        }
        return words.stream().mapToInt(i -> i).toArray();
    }

    /** Corrects every checksum of a snapshot in format version 2, as far as its table makes sense. */
    public static void seal(byte[] snapshot) {
        if (snapshot.length < 112) {
            return;
        }
        ByteBuffer in = ByteBuffer.wrap(snapshot).order(ByteOrder.LITTLE_ENDIAN);
        int blocks = in.getInt(104);
        long end = 108 + 12L * blocks;
        if (blocks < 0 || end + 4 > snapshot.length) {
            return;
        }
        long at = end + 4;
        for (int b = 0; b < blocks; b++) {
            int bytes = in.getInt(108 + 12 * b + 4);
            if (bytes < 0 || at + bytes > snapshot.length) {
                break;
            }
            in.putInt(108 + 12 * b + 8, crc(snapshot, (int) at, bytes));
            at += bytes;
        }
        in.putInt((int) end, crc(snapshot, 0, (int) end));
    }

    private static int crc(byte[] bytes, int from, int count) {
        CRC32C crc = new CRC32C();
        crc.update(bytes, from, count);
        return (int) crc.getValue();
    }
}
