package griffin.backend.cpu;

import griffin.backend.StateLayout;

/** What the CPU backend keeps in the Java heap beside states and step buffers. */
final class CpuMemory {

    /** Programs of a runner that hold the whole forward pass: one samples, one scores. */
    private static final int PROGRAMS = 2;

    private CpuMemory() {}

    static long bytes(Kernels kernels, int threads, StateLayout layout, int heads, int widest, boolean wideGates) {
        long span = layout.attentionLayers() == 0 ? 0 : layout.window() + 1L;
        long gates = wideGates ? 2L * layout.recurrentLayers() * layout.lruWidth() * (layout.lruWidth() / heads) : 0;
        boolean inLanes = widest <= kernels.rowLanesColumns();
        long lanes = inLanes ? LaneProduct.floats() : 0;
        long panel = Math.max(CpuLinear.panelFloats(widest), inLanes ? Kernels.ROW_LANES_TILE * Kernels.ROW_LANES_STRIDE : 0);
        long scratch = lanes + threads * (panel + CpuLinear.sumFloats() + lanes + heads * span);
        long attention = layout.attentionLayers() * span * (1L + (long) CpuAttention.SPREAD_ROWS * heads);
        long taps = (long) layout.recurrentLayers() * layout.lruWidth() * (layout.convRows() + 2L);
        return 4 * (gates + scratch + PROGRAMS * (attention + taps)) + PROGRAMS * CpuSampling.bytes(threads, layout.vocabulary());
    }
}
