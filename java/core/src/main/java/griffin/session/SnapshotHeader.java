package griffin.session;

import griffin.backend.StateLayout;
import griffin.error.StateFormatException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * The fixed part of a snapshot, which {@link StateSnapshot} describes.
 *
 * @param version   1 or 2
 * @param packing   how the payload is stored
 * @param identity  of the model: SHA-256
 * @param layout    the shape of the state
 * @param consumed  tokens in the state
 * @param pending   the token that was reported and is not yet in the state, or -1
 * @param held      the end id that was sampled and never reported, or -1
 * @param tokenHash chain over the tokens in the state
 * @param payload   bytes of the payload
 */
public record SnapshotHeader(int version, Packing packing, byte[] identity, StateLayout layout, int consumed, int pending, int held,
        long tokenHash, long payload) {

    static final int BYTES = 104;
    static final int IDENTITY_BYTES = 32;
    private static final byte[] MAGIC = {'G', 'R', 'I', 'F', 'S', 'T', 'A', 'T'};
    /** Beyond any model; below it no size of a layout overflows. */
    private static final int MOST = 1 << 24;

    /** Tokens of the sequence. */
    public int tokens() {
        return consumed + (pending == Sequence.NONE ? 0 : 1);
    }

    Sequence.Mark mark() {
        return new Sequence.Mark(consumed, pending, held, tokenHash);
    }

    /**
     * Whether the sequence is {@code ids[0, length)}, as far as its hash chain tells.
     */
    public boolean isOf(int[] ids, int length) {
        if (tokens() != length || pending != Sequence.NONE && ids[length - 1] != pending) {
            return false;
        }
        long hash = 0;
        for (int i = 0; i < consumed; i++) {
            hash = Sequence.mix(hash, ids[i]);
        }
        return hash == tokenHash;
    }

    /** Bytes of the rows in use in float32: what the payload would be without packing. */
    public long plainBytes() {
        return used().bytes();
    }

    /** The layout of the rows in use alone, without gaps between them. */
    StateLayout used() {
        return new StateLayout(layout.recurrentLayers(), layout.attentionLayers(), layout.lruWidth(), layout.convRows(),
                Math.min(consumed, layout.window()), layout.headDim(), layout.vocabulary());
    }

    /** The same sequence with a payload of this program's version. */
    SnapshotHeader with(Packing newPacking, long newPayload) {
        return new SnapshotHeader(StateSnapshot.VERSION, newPacking, identity, layout, consumed, pending, held, tokenHash, newPayload);
    }

    /** The shape in words. */
    public String shape() {
        return layout.recurrentLayers() + " recurrent and " + layout.attentionLayers() + " attention layers, width " + layout.lruWidth()
                + ", window " + layout.window() + ", vocabulary " + layout.vocabulary();
    }

    void write(ByteBuffer out) {
        out.put(MAGIC).putInt(version).putInt(packing.ordinal()).put(identity);
        out.putInt(layout.recurrentLayers()).putInt(layout.attentionLayers()).putInt(layout.lruWidth()).putInt(layout.convRows())
                .putInt(layout.window()).putInt(layout.headDim()).putInt(layout.vocabulary());
        out.putInt(consumed).putInt(pending).putInt(held).putLong(tokenHash).putLong(payload);
    }

    /**
     * Reads the header of a snapshot whose checksum was not looked at yet.
     *
     * @param name what messages call the snapshot
     * @throws StateFormatException when it is none, of another version, or impossible
     */
    public static SnapshotHeader read(MemorySegment bytes, String name) {
        ByteBuffer in = start(bytes, name);
        int version = in.getInt();
        if (version != 1 && version != StateSnapshot.VERSION) {
            throw new StateFormatException(name + " has state format version " + version + ", and this program reads versions 1 and "
                    + StateSnapshot.VERSION + ": save it again with a matching program");
        }
        int type = in.getInt();
        byte[] identity = new byte[IDENTITY_BYTES];
        in.get(identity);
        int[] n = new int[7];
        for (int i = 0; i < n.length; i++) {
            n[i] = in.getInt();
        }
        StateLayout layout = new StateLayout(n[0], n[1], n[2], n[3], n[4], n[5], n[6]);
        int packings = version == 1 ? 1 : Packing.values().length;
        Packing packing = type >= 0 && type < packings ? Packing.values()[type] : null;
        SnapshotHeader header = new SnapshotHeader(version, packing, identity, layout, in.getInt(), in.getInt(), in.getInt(), in.getLong(),
                in.getLong());
        if (packing == null || !header.plausible(n)) {
            StateSnapshot.requireChecksum(bytes, version, name);
            throw new StateFormatException(name + " contradicts itself: element type " + type + ", " + header.consumed + " tokens, "
                    + header.payload + " bytes of state in " + bytes.byteSize() + "; restore it from a copy");
        }
        return header;
    }

    private static ByteBuffer start(MemorySegment bytes, String name) {
        byte[] start = new byte[(int) Math.min(BYTES, bytes.byteSize())];
        MemorySegment.copy(bytes, ValueLayout.JAVA_BYTE, 0, start, 0, start.length);
        if (bytes.byteSize() < BYTES + 4 || !Arrays.equals(start, 0, MAGIC.length, MAGIC, 0, MAGIC.length)) {
            throw new StateFormatException(name + " is not a saved Griffin state: expected a file that begins with GRIFSTAT, found "
                    + bytes.byteSize() + " bytes of something else");
        }
        return ByteBuffer.wrap(start).order(ByteOrder.LITTLE_ENDIAN).position(MAGIC.length);
    }

    private boolean plausible(int[] numbers) {
        for (int number : numbers) {
            if (number < 0 || number > MOST) {
                return false;
            }
        }
        double bytes = 4.0 * layout.recurrentLayers() * layout.lruWidth() * (1 + layout.convRows())
                + 8.0 * layout.attentionLayers() * layout.window() * layout.headDim() + layout.vocabulary() / 8.0;
        return bytes < Integer.MAX_VALUE && consumed >= 0
                && consumed <= Sequence.MOST_TOKENS - (pending == Sequence.NONE ? 0 : 1) && pending >= Sequence.NONE
                && pending < layout.vocabulary()
                && held >= Sequence.NONE && held < layout.vocabulary() && (pending == Sequence.NONE || held == Sequence.NONE)
                && payload >= 0;
    }

    /**
     * Refuses what another model's sequence left.
     *
     * @throws StateFormatException then
     */
    void requireModel(byte[] expected, StateLayout expectedLayout, String name) {
        if (!layout.equals(expectedLayout)) {
            SnapshotHeader ours = new SnapshotHeader(version, packing, expected, expectedLayout, 0, -1, -1, 0, 0);
            throw new StateFormatException(name + " belongs to another model (" + shape() + "; this one has " + ours.shape()
                    + "): open the model it was saved with, and with the same window");
        }
        if (!Arrays.equals(identity, expected)) {
            throw new StateFormatException(name + " belongs to a model of the same shape (" + shape()
                    + ") with other weights or settings: open the model it was saved with");
        }
    }
}
