package griffin.session;

import griffin.backend.Backend;
import griffin.backend.StateLayout;
import griffin.error.StateFormatException;
import griffin.model.ModelRunner;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import java.util.zip.CRC32C;

/**
 * A sequence as bytes. Little-endian:
 *
 * <pre>
 *   0  magic "GRIFSTAT"             8 bytes
 *   8  format version, 2            i32
 *  12  packing: 0 none, 1 lossless, 2 q8    i32
 *  16  model identity               32 bytes, SHA-256
 *  48  layout: recurrent layers, attention layers, E, C-1, W, K, V    7 x i32
 *  76  tokens in the state          i32
 *  80  pending token or -1          i32: reported, not yet in the state
 *  84  held end id or -1            i32: sampled, never reported
 *  88  hash chain of the tokens in the state    i64
 *  96  payload bytes                i64: all of the blocks
 * 104  number of blocks             i32, see {@link StateBlock}
 * 108  for each block: encoding (see {@link BlockCodec}), bytes, CRC-32C of those bytes    3 x i32
 *      CRC-32C of all before        i32
 *      the blocks: h, conv, keys and values (the rows in use: min(tokens, W)), seen; the order of {@link StateLayout}
 * </pre>
 *
 * Version 1, which is read as well, has element type 0 (float32) at 12, from 104 on the same parts in float32 without a table, and at
 * the end a CRC-32C of everything before.
 */
public final class StateSnapshot {

    static final int VERSION = 2;
    private static final int TABLE = SnapshotHeader.BYTES + 4;
    private static final int ENTRY = 12;
    /** No deflated byte stands for more, so that what a table promises is in proportion to the file. */
    private static final long MOST_DEFLATED = 1040;

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /** A block and where its encoded form is; in version 1 it has no checksum of its own. */
    private record Stored(StateBlock block, int encoding, long at, int bytes, boolean checked, int crc) {}

    private StateSnapshot() {}

    // ---- writing

    static byte[] write(byte[] identity, StatePool pool, Sequence sequence, Packing packing) {
        SnapshotHeader header = headerOf(identity, pool, sequence.mark(), packing);
        return pack(header, StateBlock.of(header.layout(), header.consumed()), pool.exported(sequence.slot()));
    }

    private static SnapshotHeader headerOf(byte[] identity, StatePool pool, Sequence.Mark mark, Packing packing) {
        return new SnapshotHeader(VERSION, packing, identity, pool.states().layout(), mark.consumed(), mark.pending(), mark.held(),
                mark.tokenHash(), 0);
    }

    /** A state that was copied out of its slot, quickly, between two steps; any thread may make a snapshot of it. */
    public static final class Copy {

        private final SnapshotHeader header;
        private final MemorySegment slot;

        private Copy(SnapshotHeader header, MemorySegment slot) {
            this.header = header;
            this.slot = slot;
        }

        /** The snapshot, not packed. */
        public byte[] bytes() {
            return pack(header, StateBlock.of(header.layout(), header.consumed()), slot);
        }
    }

    static Copy copy(byte[] identity, StatePool pool, Sequence sequence, Sequence.Mark mark, Backend backend) {
        MemorySegment slot = MemorySegment.ofArray(new int[Math.toIntExact(pool.states().layout().bytes() / Integer.BYTES)]);
        backend.exportSlot(pool.states(), sequence.slot(), slot);
        return new Copy(headerOf(identity, pool, mark, Packing.NONE), slot);
    }

    /** @param like everything but version and payload */
    private static byte[] pack(SnapshotHeader like, List<StateBlock> blocks, MemorySegment slot) {
        BlockCodec.Encoded[] encoded = new BlockCodec.Encoded[blocks.size()];
        IntStream.range(0, encoded.length).parallel()
                .forEach(i -> encoded[i] = BlockCodec.choose(slot, blocks.get(i), like.packing()));
        long[] at = new long[encoded.length + 1];
        for (int i = 0; i < encoded.length; i++) {
            at[i + 1] = at[i] + encoded[i].bytes();
        }
        long payload = at[encoded.length];
        int start = TABLE + ENTRY * encoded.length + 4;
        byte[] bytes = new byte[Math.toIntExact(start + payload)];
        MemorySegment target = MemorySegment.ofArray(bytes);
        int[] crcs = new int[encoded.length];
        IntStream.range(0, encoded.length).parallel().forEach(i -> {
            BlockCodec.write(slot, blocks.get(i), encoded[i], target, start + at[i]);
            crcs[i] = crc(target.asSlice(start + at[i], encoded[i].bytes()));
        });
        ByteBuffer out = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        like.with(like.packing(), payload).write(out);
        out.putInt(encoded.length);
        for (int i = 0; i < encoded.length; i++) {
            out.putInt(encoded[i].encoding()).putInt(encoded[i].bytes()).putInt(crcs[i]);
        }
        out.putInt(crc(target.asSlice(0, start - 4)));
        return bytes;
    }

    /** The same sequence packed otherwise. What 8 bits have lost stays lost. */
    public static byte[] repack(byte[] snapshot, Packing packing) {
        MemorySegment bytes = MemorySegment.ofArray(snapshot);
        SnapshotHeader header = SnapshotHeader.read(bytes, "the snapshot");
        if (header.packing() == packing && header.version() == VERSION) {
            return snapshot;
        }
        List<Stored> table = table(bytes, header, header.used(), "the snapshot");
        try (Arena arena = Arena.ofShared()) {
            MemorySegment slot = arena.allocate(Math.max(1, header.plainBytes()), 64);
            unpack(bytes, table, slot, "the snapshot");
            return pack(header.with(packing, 0), table.stream().map(Stored::block).toList(), slot);
        }
    }

    // ---- reading

    /**
     * Everything is checked before a sequence is made.
     *
     * @param name what messages call the snapshot
     */
    static Sequence read(MemorySegment bytes, String name, byte[] identity, ModelRunner runner, StatePool pool, boolean reserved) {
        SnapshotHeader header = SnapshotHeader.read(bytes, name);
        List<Stored> table = table(bytes, header, header.layout(), name);
        header.requireModel(identity, pool.states().layout(), name);
        MemorySegment slot;
        if (isExported(table, header)) { // as when the window is full: the file's own pages are copied into the slot
            verify(bytes, table, name);
            slot = table.isEmpty() ? MemorySegment.NULL : bytes.asSlice(table.getFirst().at, header.layout().bytes());
        } else {
            slot = pool.exported();
            clearUnused(header, slot);
            unpack(bytes, table, slot, name);
        }
        Sequence sequence = new Sequence(runner, pool, header.mark(), pool.acquireUncleared(reserved));
        try {
            runner.backend().importSlot(pool.states(), sequence.slot(), slot);
            return sequence;
        } catch (Throwable e) {
            sequence.close();
            throw e;
        }
    }

    /** Whether the blocks as they are stored are an exported slot. */
    private static boolean isExported(List<Stored> table, SnapshotHeader header) {
        return header.plainBytes() == header.layout().bytes() && table.stream().allMatch(stored -> stored.encoding == BlockCodec.F32);
    }

    /**
     * Asserts that a snapshot is whole, without decoding it.
     *
     * @return its header
     * @throws StateFormatException when it is none, or damaged
     */
    public static SnapshotHeader verify(MemorySegment bytes, String name) {
        SnapshotHeader header = SnapshotHeader.read(bytes, name);
        verify(bytes, table(bytes, header, header.layout(), name), name);
        return header;
    }

    /** The header of a snapshot of which header and table, but not the blocks, were checked. */
    public static SnapshotHeader header(MemorySegment bytes, String name) {
        SnapshotHeader header = SnapshotHeader.read(bytes, name);
        table(bytes, header, header.layout(), name);
        return header;
    }

    private static void verify(MemorySegment bytes, List<Stored> table, String name) {
        AtomicInteger damaged = new AtomicInteger();
        table.parallelStream().filter(stored -> isDamaged(bytes, stored)).forEach(stored -> damaged.getAndIncrement());
        if (damaged.get() > 0) {
            throw damaged(bytes, name);
        }
    }

    private static boolean isDamaged(MemorySegment bytes, Stored stored) {
        return stored.checked && crc(bytes.asSlice(stored.at, stored.bytes)) != stored.crc;
    }

    /** Checks and decodes block by block, so that the bytes are read once. */
    private static void unpack(MemorySegment bytes, List<Stored> table, MemorySegment slot, String name) {
        AtomicInteger damaged = new AtomicInteger();
        AtomicInteger wrong = new AtomicInteger();
        table.parallelStream().forEach(stored -> {
            if (isDamaged(bytes, stored)) {
                damaged.getAndIncrement();
            } else if (!BlockCodec.read(stored.encoding, bytes, stored.at, stored.bytes, stored.block, slot)) {
                wrong.getAndIncrement();
            }
        });
        if (damaged.get() > 0) {
            throw damaged(bytes, name);
        }
        if (wrong.get() > 0) {
            throw new StateFormatException(name + " contradicts itself: " + wrong.get() + " of its " + table.size()
                    + " blocks are not what its table says; restore it from a copy");
        }
    }

    /** The rows of keys and values that no token has filled yet. */
    private static void clearUnused(SnapshotHeader header, MemorySegment slot) {
        StateLayout layout = header.layout();
        long used = 4L * Math.min(header.consumed(), layout.window()) * layout.headDim();
        long ring = 4L * layout.window() * layout.headDim();
        long at = 4L * layout.recurrentLayers() * layout.lruWidth() * (1 + layout.convRows());
        for (int i = 0; i < 2 * layout.attentionLayers(); i++) {
            slot.asSlice(at + i * ring + used, ring - used).fill((byte) 0);
        }
    }

    /** Where the blocks are; the checksum of the table, or of all of version 1, has been looked at. */
    private static List<Stored> table(MemorySegment bytes, SnapshotHeader header, StateLayout layout, String name) {
        requireChecksum(bytes, header.version(), name);
        boolean listed = header.version() == VERSION;
        // What a header promises decides how much memory is taken, so it is compared with the file first.
        if (bytes.byteSize() < (listed ? ENTRY * StateBlock.least(header.layout(), header.consumed()) : header.plainBytes())) {
            throw contradiction(bytes, header, name);
        }
        List<StateBlock> blocks = StateBlock.of(layout, header.consumed());
        long at = listed ? TABLE + (long) ENTRY * blocks.size() + 4 : SnapshotHeader.BYTES;
        long end = listed ? bytes.byteSize() : bytes.byteSize() - 4;
        if (at > end || listed && bytes.get(INT, SnapshotHeader.BYTES) != blocks.size() || at + header.payload() != end) {
            throw contradiction(bytes, header, name);
        }
        List<Stored> table = new ArrayList<>();
        for (int i = 0; i < blocks.size(); i++) {
            long entry = TABLE + (long) ENTRY * i;
            Stored stored = listed
                    ? new Stored(blocks.get(i), bytes.get(INT, entry), at, bytes.get(INT, entry + 4), true, bytes.get(INT, entry + 8))
                    : new Stored(blocks.get(i), BlockCodec.F32, at, Math.toIntExact(blocks.get(i).bytes()), false, 0);
            if (stored.bytes < 0 || stored.bytes > end - at || stored.encoding == BlockCodec.F32 && stored.bytes != stored.block.bytes()
                    || stored.block.bytes() > MOST_DEFLATED * stored.bytes) {
                throw contradiction(bytes, header, name);
            }
            table.add(stored);
            at += stored.bytes;
        }
        if (at != end) {
            throw contradiction(bytes, header, name);
        }
        return table;
    }

    /** Looks at the checksum of header and table, or of everything in version 1. */
    static void requireChecksum(MemorySegment bytes, int version, String name) {
        long end = bytes.byteSize() - 4;
        if (version == VERSION) {
            int blocks = bytes.get(INT, SnapshotHeader.BYTES);
            end = TABLE + (long) ENTRY * blocks;
            if (blocks < 0 || end > bytes.byteSize() - 4) {
                throw damaged(bytes, name);
            }
        }
        if (crc(bytes.asSlice(0, end)) != bytes.get(INT, end)) {
            throw damaged(bytes, name);
        }
    }

    private static StateFormatException damaged(MemorySegment bytes, String name) {
        return new StateFormatException(
                name + " is damaged: its checksum does not fit its " + bytes.byteSize() + " bytes; restore it from a copy");
    }

    private static StateFormatException contradiction(MemorySegment bytes, SnapshotHeader header, String name) {
        return new StateFormatException(name + " contradicts itself: " + header.consumed() + " tokens, " + header.payload()
                + " bytes of state in " + bytes.byteSize() + "; restore it from a copy");
    }

    private static int crc(MemorySegment bytes) {
        CRC32C crc = new CRC32C();
        crc.update(bytes.asByteBuffer());
        return (int) crc.getValue();
    }
}
