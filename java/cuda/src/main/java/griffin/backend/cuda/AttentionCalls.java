package griffin.backend.cuda;

import griffin.backend.AttentionShape;
import griffin.backend.DType;

/**
 * Local attention: launch by launch for prompts (window_attention.cu; on Hopper window_attention_wgmma.cu, with a merge where rows are few), in
 * one launch for decode steps (window_attention_decode.cu).
 */
final class AttentionCalls {

    private static final int WIDE_SHARED = 196608;
    private static final int WGMMA_SHARED = 197632;
    private static final int SHARED = 98688;
    private static final int WIDE_HEAD = 256;
    private static final int MOST_SPLITS = 128;
    /** Keys of a split: one round of a block's warps. */
    private static final int SPLIT_KEYS = 128;
    /** Columns of the values that a block takes; with more than a few sequences, all where the tiles serve. */
    private static final int COLUMNS = 32;
    private static final int FEW_SEQUENCES = 2;
    private static final int FAST_HEADS = 16;
    private static final int FEW_SHARED = 29696;
    private static final int MANY_SHARED = 78848;

    /** (Row, head) pairs of a block of window_attention_wgmma.cu, the keys of one of its steps, and the fewest steps worth a block. */
    private static final int TILE_ITEMS = 128;
    private static final int STEP_KEYS = 64;
    private static final int LEAST_STEPS = 4;
    private static final int MOST_PROMPT_SPLITS = 8;

    private AttentionCalls() {}

    static Call rotate(Lowering l, Operation.Rotate o) {
        AttentionShape s = o.shape();
        Arguments arguments = l.arguments().step(o.step()).matrix(o.qkv()).integer(s.heads()).integer(s.headDim()).integer(s.rotaryDims())
                .real(s.ropeTheta());
        return l.launch(l.kernel("rotate"), arguments, 256, 0,
                (extent, launch) -> launch.grid(Launch.blocks(extent.rows, 4), Launch.blocks(s.rotaryDims(), 128), 1));
    }

    static Call windowAttention(Lowering l, Operation.WindowAttention o) {
        AttentionShape s = o.shape();
        Arguments arguments = l.arguments().step(o.step()).matrix(o.qkv()).pointer(o.keys().address()).pointer(o.values().address())
                .matrix(o.out()).integer(s.heads()).integer(s.headDim()).integer(s.window());
        if (l.wgmma && s.headDim() == WIDE_HEAD && o.qkv().aligned() && o.out().aligned()) {
            return splitAttention(l, o, arguments);
        }
        boolean wide = l.operands == DType.BF16 && s.headDim() == WIDE_HEAD && l.context.device.sharedPerBlock() >= WIDE_SHARED;
        int threads = wide ? 256 : 128;
        return l.launch(l.kernel("window_attention_prefill"), arguments, threads, wide ? WIDE_SHARED : SHARED,
                (extent, launch) -> launch.grid(tiles(extent, s, threads / 2), 1, 1));
    }

    /** On Hopper: of few rows that see many keys, several blocks share a tile's keys, and a second launch makes one of their parts. */
    private static Call splitAttention(Lowering l, Operation.WindowAttention o, Arguments arguments) {
        AttentionShape s = o.shape();
        long items = (long) l.context.device.processors() * TILE_ITEMS; // splits * items: see splits()
        long partial = l.memory.scratch("parts of prompt attention", items * s.headDim() * Float.BYTES);
        long stats = l.memory.scratch("statistics of prompt attention", items * 2 * Float.BYTES);
        Launch attend = l.launch(l.kernel("window_attention_prefill_wgmma"), arguments.pointer(partial).pointer(stats), 256, WGMMA_SHARED,
                (extent, launch) -> launch.grid(tiles(extent, s, TILE_ITEMS), splits(l.context.device.processors(), extent, s), 1));
        Launch[] merges = new Launch[Integer.numberOfTrailingZeros(MOST_PROMPT_SPLITS) + 1];
        for (int i = 1; i < merges.length; i++) {
            merges[i] = l.launch(l.kernel("window_attention_merge"),
                    l.arguments().step(o.step()).pointer(partial).pointer(stats).integer(1 << i)
                            .matrix(o.out()).integer(s.heads()),
                    256, 0, (extent, launch) -> launch.grid(Launch.blocks((long) extent.rows * s.heads(), 8), 1, 1));
        }
        return extent -> {
            attend.issue(extent);
            int splits = splits(l.context.device.processors(), extent, s);
            if (splits > 1) {
                merges[Integer.numberOfTrailingZeros(splits)].issue(extent);
            }
        };
    }

    /** A power of two: as many as find a multiprocessor, and each at least a few steps of keys. */
    static int splits(int processors, Extent extent, AttentionShape s) {
        long tiles = Math.max(1, tiles(extent, s, TILE_ITEMS));
        int keys = Math.min(extent.before, s.window()) + Math.min(extent.rows, s.window());
        long splits = Math.min(processors / tiles, keys / (STEP_KEYS * LEAST_STEPS));
        return Integer.highestOneBit(Math.clamp(splits, 1, MOST_PROMPT_SPLITS));
    }

    /** Blocks for tiles of (row, head) pairs, of which each sequence may begin one. */
    private static long tiles(Extent extent, AttentionShape s, int items) {
        return extent.rows == 0 ? 0 : (long) extent.rows * s.heads() / items + extent.sequences;
    }

    static Call storeKeys(Lowering l, Operation.StoreKeys o) {
        AttentionShape s = o.shape();
        Arguments arguments = l.arguments().step(o.step()).matrix(o.qkv()).pointer(o.keys().address()).pointer(o.values().address())
                .integer(s.heads()).integer(s.headDim()).integer(s.window());
        return l.launch(l.kernel("store_keys"), arguments, 128, 0, (extent, launch) -> launch.grid(Launch.blocks(extent.rows, 4), 1, 1));
    }

    static Call attention(Lowering l, Operation.Attention o) {
        Call prefill = Lowering.all(rotate(l, new Operation.Rotate(o.step(), o.shape(), o.qkv())),
                windowAttention(l, new Operation.WindowAttention(o.step(), o.shape(), o.qkv(), o.keys(), o.values(), o.out())),
                storeKeys(l, new Operation.StoreKeys(o.step(), o.shape(), o.qkv(), o.keys(), o.values())));
        return Lowering.either(decode(l, o), prefill);
    }

    /** One launch for each power of two of sequences, since a block takes the more columns the more sequences there are. */
    private static Call decode(Lowering l, Operation.Attention o) {
        int most = 32 - Integer.numberOfLeadingZeros(Math.max(1, o.step().maxSequences() - 1));
        Launch[] bySequences = new Launch[most + 1];
        for (int i = 0; i <= most; i++) {
            bySequences[i] = decode(l, o, 1 << i);
        }
        return extent -> {
            if (extent.sequences > 0) {
                bySequences[extent.sequences == 1 ? 0 : 32 - Integer.numberOfLeadingZeros(extent.sequences - 1)].issue(extent);
            }
        };
    }

    private static Launch decode(Lowering l, Operation.Attention o, int sequences) {
        AttentionShape s = o.shape();
        boolean tiles = l.operands == DType.BF16 && s.headDim() == WIDE_HEAD && s.heads() <= FAST_HEADS && s.rotaryDims() % 16 == 0
                && l.context.device.sharedPerBlock() >= MANY_SHARED;
        boolean many = sequences > FEW_SEQUENCES && tiles;
        int columns = many ? WIDE_HEAD : COLUMNS;
        int groups = Launch.blocks(s.headDim(), columns);
        int most = Math.clamp(Launch.blocks(s.window(), SPLIT_KEYS), 1, MOST_SPLITS);
        int splits = many ? Math.clamp(2 * l.context.device.processors() / sequences, 1, most) : most; // one wave of two blocks each
        long capacity = Math.min(sequences, o.step().maxSequences());
        long partial = Math.ceilDiv((long) s.heads() * splits * (s.headDim() + s.headDim() % 2 + 2 * groups), 4) * 4L;
        long scratch = l.memory.scratch("partial attention", 4 * capacity * partial);
        long arrivals = l.memory.scratch("arrivals of the attention " + columns, 4L * o.step().maxSequences() * (groups + 1));
        Arguments arguments = l.arguments().step(o.step()).matrix(o.qkv()).pointer(o.keys().address()).pointer(o.values().address())
                .matrix(o.out()).pointer(scratch).pointer(arrivals).integer(s.heads()).integer(s.headDim()).integer(s.window())
                .integer(s.rotaryDims()).real(s.ropeTheta()).integer(splits);
        int heads = Launch.blocks(s.heads(), groups);
        int plain = 4 * (s.headDim() * (heads + 1) + Launch.blocks(s.window(), splits) + 3 + heads)
                + 8 * (s.rotaryDims() / 2 + heads * splits);
        int shared = Math.max(plain, many ? MANY_SHARED : FEW_SHARED);
        return l.launch(l.kernels.get("attention_decode_" + CudaUpload.word(l.operands) + "_c" + columns), arguments, 256, shared,
                (extent, launch) -> launch.grid(splits, groups, extent.sequences));
    }
}
