package griffin.session;

import griffin.backend.Backend;
import griffin.backend.StateLayout;
import griffin.error.StateFormatException;
import griffin.model.ModelRunner;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.zip.CRC32C;

/**
 * A sequence as bytes. Little-endian:
 *
 * <pre>
 *   0  magic "GRIFSTAT"             8 bytes
 *   8  format version, now 1        i32
 *  12  element type, 0 = float32    i32
 *  16  model identity               32 bytes, SHA-256
 *  48  layout: recurrent layers, attention layers, E, C-1, W, K, V    7 x i32
 *  76  tokens in the state          i32
 *  80  pending token or -1          i32: reported, not yet in the state
 *  84  held end id or -1            i32: sampled, never reported
 *  88  hash chain of the tokens in the state    i64
 *  96  payload bytes                i64
 * 104  payload: h, conv, keys and values (the rows in use: min(tokens, W)), seen; the order of {@link StateLayout}
 *  end CRC-32C of all before        i32
 * </pre>
 */
final class StateSnapshot {

    static final int HEADER_BYTES = 104;
    private static final byte[] MAGIC = {'G', 'R', 'I', 'F', 'S', 'T', 'A', 'T'};
    private static final int VERSION = 1;
    private static final int FLOAT32 = 0;

    private StateSnapshot() {}

    static byte[] write(byte[] identity, StatePool pool, Sequence sequence, Backend backend) {
        StateLayout layout = pool.states().layout();
        Sequence.Mark mark = sequence.mark();
        long payload = payloadBytes(layout, mark.consumed());
        byte[] bytes = new byte[Math.toIntExact(HEADER_BYTES + payload + 4)];
        ByteBuffer out = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        out.put(MAGIC).putInt(VERSION).putInt(FLOAT32).put(identity);
        for (int value : numbers(layout)) {
            out.putInt(value);
        }
        out.putInt(mark.consumed()).putInt(mark.pending()).putInt(mark.held()).putLong(mark.tokenHash()).putLong(payload);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment full = arena.allocate(layout.bytes(), 64);
            backend.exportSlot(pool.states(), sequence.slot(), full);
            MemorySegment target = MemorySegment.ofArray(bytes);
            copyUsed(layout, mark.consumed(),
                    (fullAt, usedAt, count) -> MemorySegment.copy(full, fullAt, target, HEADER_BYTES + usedAt, count));
        }
        out.position(bytes.length - 4);
        out.putInt(checksum(bytes, bytes.length - 4));
        return bytes;
    }

    /** Checks everything before touching a slot; {@code name} is what messages call the snapshot. */
    static Sequence read(byte[] bytes, String name, byte[] identity, ModelRunner runner, StatePool pool) {
        StateLayout layout = pool.states().layout();
        if (bytes.length < HEADER_BYTES + 4 || !Arrays.equals(bytes, 0, MAGIC.length, MAGIC, 0, MAGIC.length)) {
            throw new StateFormatException(name + " is not a saved Griffin state: expected a file that begins with GRIFSTAT, found "
                    + bytes.length + " bytes of something else");
        }
        ByteBuffer in = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).position(MAGIC.length);
        int version = in.getInt();
        if (version != VERSION) {
            throw new StateFormatException(name + " has state format version " + version + ", and this program reads version " + VERSION
                    + ": save it again with a matching program");
        }
        if (checksum(bytes, bytes.length - 4) != in.getInt(bytes.length - 4)) {
            throw new StateFormatException(
                    name + " is damaged: its checksum does not fit its " + bytes.length + " bytes; restore it from a copy");
        }
        int type = in.getInt();
        byte[] model = new byte[identity.length];
        in.get(model);
        int[] numbers = new int[7];
        for (int i = 0; i < numbers.length; i++) {
            numbers[i] = in.getInt();
        }
        if (!Arrays.equals(model, identity) && Arrays.equals(numbers, numbers(layout))) {
            throw new StateFormatException(name + " belongs to a model of the same shape (" + describe(numbers)
                    + ") with other weights or settings: open the model it was saved with");
        }
        if (!Arrays.equals(numbers, numbers(layout))) {
            throw new StateFormatException(name + " belongs to another model (" + describe(numbers) + "; this one has "
                    + describe(numbers(layout)) + "): open the model it was saved with");
        }
        Sequence.Mark mark = new Sequence.Mark(in.getInt(), in.getInt(), in.getInt(), in.getLong());
        long payload = in.getLong();
        if (type != FLOAT32 || !plausible(mark, layout) || payload != payloadBytes(layout, mark.consumed())
                || bytes.length != HEADER_BYTES + payload + 4) {
            throw new StateFormatException(
                    name + " contradicts itself: element type " + type + ", " + mark.consumed() + " tokens, " + payload
                            + " bytes of state in a file of " + bytes.length + "; restore it from a copy");
        }
        return restore(bytes, mark, runner, pool);
    }

    private static Sequence restore(byte[] bytes, Sequence.Mark mark, ModelRunner runner, StatePool pool) {
        StateLayout layout = pool.states().layout();
        Sequence sequence = new Sequence(runner, pool, mark);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment full = arena.allocate(layout.bytes(), 64);
            MemorySegment source = MemorySegment.ofArray(bytes);
            copyUsed(layout, mark.consumed(),
                    (fullAt, usedAt, count) -> MemorySegment.copy(source, HEADER_BYTES + usedAt, full, fullAt, count));
            runner.backend().importSlot(pool.states(), sequence.slot(), full);
            return sequence;
        } catch (Throwable e) {
            sequence.close();
            throw e;
        }
    }

    private static boolean plausible(Sequence.Mark mark, StateLayout layout) {
        return mark.consumed() >= 0 && mark.pending() >= Sequence.NONE && mark.pending() < layout.vocabulary()
                && mark.held() >= Sequence.NONE
                && mark.held() < layout.vocabulary() && (mark.pending() == Sequence.NONE || mark.held() == Sequence.NONE);
    }

    private static int[] numbers(StateLayout layout) {
        return new int[] {layout.recurrentLayers(), layout.attentionLayers(), layout.lruWidth(), layout.convRows(), layout.window(),
            layout.headDim(), layout.vocabulary()};
    }

    private static String describe(int[] numbers) {
        return numbers[0] + " recurrent and " + numbers[1] + " attention layers, width " + numbers[2] + ", window " + numbers[4]
                + ", vocabulary "
                + numbers[6];
    }

    private static long payloadBytes(StateLayout layout, int tokens) {
        long unused = Math.max(0, layout.window() - tokens);
        return layout.bytes() - 8 * unused * layout.headDim() * layout.attentionLayers();
    }

    private interface Copy {
        void copy(long fullAt, long usedAt, long count);
    }

    /** Visits the pieces of an exported slot that are in use: before the window is full only its first rows are. */
    private static void copyUsed(StateLayout layout, int tokens, Copy copy) {
        long recurrent = 4L * layout.recurrentLayers() * layout.lruWidth() * (1 + layout.convRows());
        copy.copy(0, 0, recurrent);
        long ring = 4L * layout.window() * layout.headDim();
        long used = 4L * Math.min(tokens, layout.window()) * layout.headDim();
        for (int i = 0; i < 2 * layout.attentionLayers(); i++) {
            copy.copy(recurrent + i * ring, recurrent + i * used, used);
        }
        int rings = 2 * layout.attentionLayers();
        copy.copy(recurrent + rings * ring, recurrent + rings * used, 4L * layout.seenWords());
    }

    private static int checksum(byte[] bytes, int length) {
        CRC32C crc = new CRC32C();
        crc.update(bytes, 0, length);
        return (int) crc.getValue();
    }
}
