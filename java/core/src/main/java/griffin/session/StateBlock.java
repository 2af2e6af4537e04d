package griffin.session;

import griffin.backend.StateLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * A run of consecutive elements of an exported slot, stored, checked and decoded by itself, so that blocks can be worked on side by side.
 *
 * @param part     what the elements are
 * @param at       first byte in the exported slot
 * @param elements number of 4-byte elements
 * @param row      elements of a row; a block has whole rows
 */
record StateBlock(Part part, long at, int elements, int row) {

    enum Part {
        RECURRENCE, CONVOLUTION, WINDOW, SEEN
    }

    /** Most elements of a block, where a row is not longer: 1 MiB in float32. */
    private static final int MOST_ELEMENTS = 1 << 18;

    /** Bytes of the block in the exported slot. */
    long bytes() {
        return 4L * elements;
    }

    /** A number of blocks that {@link #of} does not fall short of, found without making them. */
    static long least(StateLayout layout, int tokens) {
        long used = Math.min(tokens, layout.window());
        long rings = used * layout.headDim() > 0 ? 2L * layout.attentionLayers() : 0;
        long recurrent = (long) layout.recurrentLayers() * layout.lruWidth();
        return Math.max(rings * used * layout.headDim() / MOST_ELEMENTS, rings) + recurrent * (1 + layout.convRows()) / MOST_ELEMENTS / 2;
    }

    /** The blocks that are in use after {@code tokens} tokens, in the exported order: until the window is full only its first rows are. */
    static List<StateBlock> of(StateLayout layout, int tokens) {
        List<StateBlock> blocks = new ArrayList<>();
        int width = layout.lruWidth();
        long at = split(blocks, Part.RECURRENCE, 0, layout.recurrentLayers(), width);
        at = split(blocks, Part.CONVOLUTION, at, (long) layout.recurrentLayers() * layout.convRows(), width);
        long ring = 4L * layout.window() * layout.headDim();
        for (int i = 0; i < 2 * layout.attentionLayers(); i++) {
            split(blocks, Part.WINDOW, at, Math.min(tokens, layout.window()), layout.headDim());
            at += ring;
        }
        split(blocks, Part.SEEN, at, layout.seenWords(), 1);
        return blocks;
    }

    /** Adds blocks of whole rows; returns where the next part begins. */
    private static long split(List<StateBlock> blocks, Part part, long at, long rows, int row) {
        long most = Math.max(1, MOST_ELEMENTS / Math.max(1, row));
        for (long from = 0; from < rows && row > 0; from += most) {
            long count = Math.min(most, rows - from);
            blocks.add(new StateBlock(part, at + 4 * from * row, Math.toIntExact(count * row), row));
        }
        return at + 4 * rows * row;
    }
}
