package griffin.model;

import griffin.backend.Backend;
import griffin.backend.Buffer;
import griffin.backend.DType;

/**
 * The buffers of a step, for at most M rows of which at most O have their logits computed at once. What is handed to a product, the
 * recurrence or the attention has the backend's operand type; residual, delta, selected and logits are float32.
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
        DType operand = backend.operandType();
        int mixed = mixedWidth(c);
        return new Workspace(backend.allocate(DType.F32, maxRows, c.width()), backend.allocate(operand, maxRows, c.width()),
                backend.allocate(DType.F32, maxRows, c.width()), backend.allocate(operand, maxRows, 2 * c.lruWidth()),
                backend.allocate(operand, maxRows, c.lruWidth()), backend.allocate(operand, maxRows, mixed),
                backend.allocate(operand, maxRows, qkvWidth(c)), backend.allocate(operand, maxRows, 2 * c.mlpWidth()),
                backend.allocate(DType.F32, maxRows, c.width()), backend.allocate(operand, maxRows, mixed),
                backend.allocate(operand, maxRows, c.width()), backend.allocate(DType.F32, maxLogits, c.vocabulary()));
    }

    private static int mixedWidth(GriffinConfig c) {
        return Math.max(c.lruWidth(), c.heads() * c.headWidth());
    }

    private static int qkvWidth(GriffinConfig c) {
        return (c.heads() + 2) * c.headWidth();
    }

    /** Columns of all operand buffers together. */
    static long operandColumns(GriffinConfig c) {
        return 2L * c.width() + 3L * c.lruWidth() + 2L * mixedWidth(c) + qkvWidth(c) + 2L * c.mlpWidth();
    }

    /** Columns of the float32 buffers together, logits aside. */
    static long floatColumns(GriffinConfig c) {
        return 3L * c.width();
    }

    long bytes() {
        return residual.bytes() + normed.bytes() + delta.bytes() + xy.bytes() + conv.bytes() + mixed.bytes() + qkv.bytes()
                + gateAndUp.bytes() + selected.bytes() + selectedMixed.bytes() + hidden.bytes() + logits.bytes();
    }
}
