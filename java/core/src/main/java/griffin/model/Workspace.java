package griffin.model;

import griffin.backend.Backend;
import griffin.backend.Buffer;
import griffin.backend.DType;

/**
 * The float32 buffers of a step, for at most M rows of which at most O have their logits computed at once.
 *
 * @param residual  [M, D] the residual stream
 * @param normed    [M, D] a block's input
 * @param delta     [M, D] a block's output, added to the residual by the next norm
 * @param xy        [M, 2E] x and y branches of a recurrent block
 * @param conv      [M, E]
 * @param mixed     [M, max(E, H K)] what a temporal block hands to its output projection
 * @param qkv       [M, (H+2) K]
 * @param gateAndUp [M, 2F]
 * @param selected  [M, D] residual rows whose logits are wanted
 * @param selectedMixed [M, max(E, H K)] rows of {@code mixed}, likewise
 * @param hidden    [M, D] output rows after the final norm
 * @param logits    [O, V]
 */
record Workspace(Buffer residual, Buffer normed, Buffer delta, Buffer xy, Buffer conv, Buffer mixed, Buffer qkv, Buffer gateAndUp,
        Buffer selected, Buffer selectedMixed, Buffer hidden, Buffer logits) {

    static Workspace allocate(Backend backend, GriffinConfig c, int maxRows, int maxLogits) {
        int attended = c.heads() * c.headWidth();
        int mixed = Math.max(c.lruWidth(), attended);
        return new Workspace(rows(backend, maxRows, c.width()), rows(backend, maxRows, c.width()), rows(backend, maxRows, c.width()),
                rows(backend, maxRows, 2 * c.lruWidth()), rows(backend, maxRows, c.lruWidth()), rows(backend, maxRows, mixed),
                rows(backend, maxRows, attended + 2 * c.headWidth()), rows(backend, maxRows, 2 * c.mlpWidth()),
                rows(backend, maxRows, c.width()), rows(backend, maxRows, mixed), rows(backend, maxRows, c.width()),
                rows(backend, maxLogits, c.vocabulary()));
    }

    private static Buffer rows(Backend backend, int rows, int columns) {
        return backend.allocate(DType.F32, rows, columns);
    }

    long bytes() {
        return residual.bytes() + normed.bytes() + delta.bytes() + xy.bytes() + conv.bytes() + mixed.bytes() + qkv.bytes()
                + gateAndUp.bytes()
                + selected.bytes() + selectedMixed.bytes() + hidden.bytes() + logits.bytes();
    }

    /** The bytes that {@link #allocate} takes. */
    static long bytes(GriffinConfig c, int maxRows, int maxLogits) {
        long attended = (long) c.heads() * c.headWidth();
        long mixed = Math.max(c.lruWidth(), attended);
        long perRow = 5L * c.width() + 3L * c.lruWidth() + 2 * mixed + attended + 2L * c.headWidth() + 2L * c.mlpWidth();
        return DType.F32.bytes() * (perRow * maxRows + (long) c.vocabulary() * maxLogits);
    }
}
