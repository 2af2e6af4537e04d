package griffin.benchmarks.gpu;

import griffin.model.BlockKind;
import griffin.model.GriffinConfig;

/** Bytes that decoding must move and operations that reading a prompt must do, from a model's shape; two operations a multiply-add. */
final class Costs {

    private static final int OPERAND_BYTES = 2;

    private final GriffinConfig config;

    Costs(GriffinConfig config) {
        this.config = config;
    }

    /** Bytes of all weights in bfloat16; a decode step reads each once, and of a table that is only looked up, nothing worth counting. */
    long weightBytes() {
        long lookedUp = config.tied() ? 0 : (long) config.vocabulary() * config.width();
        return OPERAND_BYTES * (config.parameters() - lookedUp);
    }

    /** Bytes of one sequence's state that a step moves: visible keys and values read, recurrent state read and written. */
    long stateBytes(int position) {
        long visible = Math.min(position, config.window());
        long keysAndValues = 2L * OPERAND_BYTES * config.attentionLayers() * visible * config.headWidth();
        return keysAndValues + 2L * Float.BYTES * config.recurrentLayers() * config.lruWidth();
    }

    /** Bytes a step of {@code batch} sequences moves on average while they grow from {@code position} by {@code steps}. */
    double decodeBytes(int batch, int position, int steps) {
        double states = 0;
        for (int i = 0; i < steps; i++) {
            states += stateBytes(position + i);
        }
        return weightBytes() + batch * states / steps;
    }

    /** Operations of all products of the layers for {@code tokens} tokens, the head excluded. */
    double productOperations(long tokens) {
        double layers = 3.0 * config.width() * config.mlpWidth() * config.layers();
        double recurrent = 3.0 * config.width() * config.lruWidth() + 2.0 * config.lruWidth() * config.gateWidth();
        double attention = 2.0 * config.width() * (config.heads() + 1) * config.headWidth();
        return 2 * tokens * (layers + recurrent * config.recurrentLayers() + attention * config.attentionLayers());
    }

    /** Operations of attention over the visible keys, W + 1 at most, for tokens 0 to {@code tokens} - 1 of a sequence. */
    double attentionOperations(long tokens) {
        double full = config.window() + 1.0;
        double growing = Math.min(tokens, full);
        double visible = growing * (growing + 1) / 2 + (tokens - growing) * full;
        return 4 * visible * config.heads() * config.headWidth() * config.attentionLayers();
    }

    /**
     * Operations that need not be done when a prompt is only read: the last layer's output projection and MLP change no state. They are
     * not counted as achieved.
     */
    double skippedOperations(long tokens) {
        boolean recurrent = config.blockKind(config.layers() - 1) == BlockKind.RECURRENT;
        long mixed = recurrent ? config.lruWidth() : (long) config.heads() * config.headWidth();
        return 2.0 * tokens * config.width() * (mixed + 3.0 * config.mlpWidth());
    }

    /** Operations done when {@code tokens} tokens are read into an empty sequence. */
    double prefillOperations(long tokens) {
        return productOperations(tokens) + attentionOperations(tokens) - skippedOperations(tokens);
    }
}
