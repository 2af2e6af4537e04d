package griffin.backend.cuda;

import griffin.backend.DType;
import griffin.backend.RgLruWeights;
import java.util.Arrays;

/** Convolution and RG-LRU: launch by launch for prompts (causal_conv.cu, rg_lru.cu), in one launch for decode steps (recurrence.cu). */
final class RecurrenceCalls {

    /** Fewer rows are not worth a library call. */
    private static final int BATCHED_ROWS = 16;

    /** Launch geometry of gates_gemm_wgmma. */
    private static final int WGMMA_BLOCK = 256;
    private static final int WGMMA_THREADS = 256;
    private static final int WGMMA_SHARED = 197632;

    /** What recurrence_decode_bf16_s8, _s16 and _s32 are for, and the shared memory they take (recurrence_tiles.cuh). */
    private static final int TILED_WIDTH = 256;
    private static final int TILED_TAPS = 4;
    private static final int[] SEQUENCES_OF_BLOCK = {8, 16, 32};
    private static final int TILED_SHARED = 32 * 576 + 4096;
    private static final int TILED_SHARED_EACH = 576;

    /** Tiles of rg_lru_scan, the dynamic shared memory it takes, at most so many stages and groups, a group's threads, a cluster's blocks. */
    private static final int SCAN_ROWS = 128;
    private static final int SCAN_COLUMN_BYTES = 128;
    private static final int SCAN_SHARED = 29568;
    private static final int SCAN_SHARED_EACH = 66304;
    private static final int SCAN_STAGES = 3;
    private static final int SCAN_GROUPS = 2;
    private static final int SCAN_GROUP = 288;
    private static final int SCAN_FILL = 32;
    private static final int SCAN_CLUSTER = 8;

    private RecurrenceCalls() {}

    static Call causalConv(Lowering l, Operation.CausalConv o) {
        int width = o.x().columns();
        int taps = o.taps().columns();
        Arguments arguments = l.arguments().step(o.step()).matrix(o.x()).pointer(o.taps().address()).pointer(o.bias().address())
                .pointer(o.state().address()).matrix(o.out()).integer(width).integer(taps);
        return l.launch(l.kernel("causal_conv"), arguments, 128, 0, (extent, launch) -> launch.grid(Launch.blocks(width, 512),
                extent.rows == 0 ? 0 : extent.rows / 16L + extent.sequences, 1));
    }

    static Call rgLru(Lowering l, Operation.RgLru o) {
        return Lowering.all(scan(l, o.step(), o.x(), o.weights(), o.state(), null, o.out()));
    }

    static Call recurrence(Lowering l, Operation.Recurrence o) {
        return Lowering.either(decode(l, o), Lowering.all(ofPrompt(l, o)));
    }

    /** In a step that has prompts: the convolution, both gates' products, the scan. */
    static Call[] ofPrompt(Lowering l, Operation.Recurrence o) {
        int width = o.xy().columns() / 2;
        Call conv = causalConv(l, new Operation.CausalConv(o.step(), o.xy().columns(0, width), CudaWeight.of(o.weights().taps()),
                CudaWeight.of(o.weights().convBias()), o.convState(), o.conv()));
        Call[] scan = scan(l, o.step(), o.conv(), o.weights().rgLru(), o.state(), o.xy().columns(width, width), o.out());
        return new Call[] {conv, scan[0], scan[1]};
    }

    /** Both gates' products, then the scan. @param gelu the branch to multiply with, or null */
    private static Call[] scan(Lowering l, CudaStep step, CudaBuffer x, RgLruWeights weights, CudaBuffer state, CudaBuffer gelu,
            CudaBuffer out) {
        long plane = (long) step.maxRows() * x.columns();
        long gates = l.memory.scratch("gates", 2 * plane * l.operands.bytes());
        return new Call[] {gates(l, step, x, CudaWeight.of(weights.gates()), gates, plane),
            scanAlone(l, step, x, weights, state, gelu, out, gates, plane)};
    }

    /** Bytes in which a cluster of the scan leaves carries for the next: a word for each channel of a tile. */
    private static long handoverBytes(int processors) {
        return 8L * SCAN_COLUMN_BYTES / DType.BF16.bytes() * processors;
    }

    /** Clusters of the scan, by the blocks of one: no more than run at once, nor than there are tiles of channels. */
    private static int[] scanClusters(CudaDriver.Device device, Launch scan, int columnTiles) {
        int[] clusters = new int[device.clusters() ? SCAN_CLUSTER + 1 : 2];
        clusters[1] = Math.min(columnTiles, device.processors());
        for (int blocks = 2; blocks < clusters.length; blocks++) {
            clusters[blocks] = Math.min(columnTiles, scan.clustersAtOnce(blocks));
        }
        return clusters;
    }

    /** Blocks of a cluster of the scan: such that the most work, but no more than there are tiles of rows. */
    private static int scanCluster(int[] clusters, long rowTiles) {
        int best = 1;
        for (int blocks = 2; blocks < clusters.length && blocks <= rowTiles; blocks++) {
            best = blocks * clusters[blocks] > best * clusters[best] ? blocks : best;
        }
        return best;
    }

    /** The scan behind the gates' products. */
    static Call scanAlone(Lowering l, CudaStep step, CudaBuffer x, RgLruWeights weights, CudaBuffer state, CudaBuffer gelu, CudaBuffer out,
            long gates, long plane) {
        int width = x.columns();
        long handover = l.memory.scratch("carries of the scan", handoverBytes(l.context.device.processors()));
        Arguments arguments = l.arguments().step(step).matrix(x).pointer(gates).integer(width).wide(plane)
                .pointer(CudaWeight.addressOf(weights.gateBias())).pointer(CudaWeight.addressOf(weights.decay())).pointer(state.address())
                .pointer(gelu == null ? 0 : gelu.address()).integer(gelu == null ? 0 : gelu.stride()).matrix(out).pointer(handover)
                .integer(width);
        CudaDriver.Device device = l.context.device;
        int stages = Math.clamp((device.sharedPerBlock() - SCAN_SHARED) / SCAN_SHARED_EACH, 1, SCAN_STAGES);
        int threads = SCAN_GROUP * Math.min(stages, SCAN_GROUPS) + SCAN_FILL;
        int columnTiles = Launch.blocks(width, SCAN_COLUMN_BYTES / l.operands.bytes());
        int[][] clusters = new int[1][]; // asked for at the first prompt
        return l.launch(l.kernel("rg_lru_scan"), arguments, threads, SCAN_SHARED + SCAN_SHARED_EACH * stages, (extent, launch) -> {
            if (clusters[0] == null) {
                clusters[0] = scanClusters(device, launch, columnTiles);
            }
            int cluster = scanCluster(clusters[0], (extent.rows + (SCAN_ROWS - 1L) * extent.sequences) / SCAN_ROWS);
            launch.clusters(cluster);
            launch.grid(extent.rows == 0 ? 0 : (long) cluster * clusters[0][cluster], 1, 1);
        });
    }

    /**
     * Both gates' products: on Hopper one launch that keeps a gate's weights in shared memory; elsewhere cuBLASLt, one batched product
     * for each gate, or gemm.cu.
     */
    private static Call gates(Lowering l, CudaStep step, CudaBuffer x, CudaWeight w, long gates, long plane) {
        int width = x.columns();
        int block = w.columns();
        int heads = width / block;
        Arguments arguments = l.arguments().rows(CudaRows.of(step.rows())).matrix(x).pointer(w.address()).pointer(gates).integer(width)
                .wide(plane).integer(heads).integer(block);
        if (l.wgmma && block == WGMMA_BLOCK && x.aligned() && plane % 8 == 0) {
            int most = Math.max(1, l.context.device.processors() / (2 * heads));
            return l.launch(l.kernel("gates_gemm_wgmma"), arguments, WGMMA_THREADS, WGMMA_SHARED,
                    (extent, launch) -> launch.grid(2L * heads, Math.min(most, Launch.blocks(extent.rows, 128)), 1));
        }
        int tile = LinearCall.tile(l);
        Launch own = l.launch(l.kernel("gates_gemm"), arguments, LinearCall.gemmThreads(l), LinearCall.gemmShared(l),
                (extent, launch) -> launch.grid(Launch.blocks(extent.rows, tile), Launch.blocks(block, tile), 2L * heads));
        if (l.products == null || !l.products.servesGates(x, w)) {
            return own;
        }
        return extent -> {
            if (extent.rows < BATCHED_ROWS || !l.products.multiplyGates(x, w, gates, width, plane,
                    extent.padded(extent.rows, Math.min(x.rows(), step.maxRows())))) {
                own.issue(extent);
            } else {
                extent.dependent = true; // a product starts when all before it has ended
            }
        };
    }

    private static Call decode(Lowering l, Operation.Recurrence o) {
        CudaWeight taps = CudaWeight.of(o.weights().taps());
        CudaWeight gates = CudaWeight.of(o.weights().rgLru().gates());
        int width = o.xy().columns() / 2;
        int gateWidth = gates.columns();
        long arrivals = l.memory.scratch("arrivals of the recurrence", 4L * o.step().maxSequences() * (width / gateWidth));
        Arguments arguments = l.arguments().step(o.step()).matrix(o.xy()).pointer(taps.address())
                .pointer(CudaWeight.addressOf(o.weights().convBias())).pointer(o.convState().address()).pointer(gates.address())
                .pointer(CudaWeight.addressOf(o.weights().rgLru().gateBias())).pointer(CudaWeight.addressOf(o.weights().rgLru().decay()))
                .pointer(o.state().address()).matrix(o.out()).pointer(arrivals).integer(width).integer(taps.columns()).integer(gateWidth);
        long slices = (long) width / gateWidth * Launch.blocks(gateWidth, 16);
        Launch any = l.launch(l.kernel("recurrence_decode"), arguments, 256, 16 * gateWidth,
                (extent, launch) -> launch.grid(slices, Launch.blocks(extent.sequences, 4), 1));
        boolean tiled = l.operands == DType.BF16 && gateWidth == TILED_WIDTH && taps.columns() == TILED_TAPS && o.xy().aligned()
                && aligned(gates.address(), taps.address(), CudaWeight.addressOf(o.weights().convBias()), o.convState().address());
        return tiled && o.step().maxSequences() > 1 ? manySequences(l, arguments, slices, any) : any;
    }

    private static boolean aligned(long... addresses) {
        return Arrays.stream(addresses).allMatch(address -> address % 16 == 0);
    }

    /** The forms for several sequences on tensor cores, each from half of its sequences on. */
    private static Call manySequences(Lowering l, Arguments arguments, long slices, Call one) {
        Launch[] forms = new Launch[SEQUENCES_OF_BLOCK.length];
        for (int i = 0; i < forms.length; i++) {
            int sequences = SEQUENCES_OF_BLOCK[i];
            forms[i] = l.launch(l.kernel("recurrence_decode", "_s" + sequences), arguments, 256,
                    TILED_SHARED + sequences * TILED_SHARED_EACH,
                    (extent, launch) -> launch.grid(slices, Launch.blocks(extent.sequences, sequences), 1));
        }
        return extent -> {
            int i = 0;
            while (i < forms.length - 1 && SEQUENCES_OF_BLOCK[i] < extent.sequences) {
                i++;
            }
            (extent.sequences <= 1 ? one : forms[i]).issue(extent);
        };
    }
}
