package griffin.model;

import griffin.backend.AttentionShape;
import griffin.backend.Backend;
import griffin.backend.Buffer;
import griffin.backend.MemoryNeed;
import griffin.backend.Rows;
import griffin.backend.StateBuffers;
import griffin.backend.StateLayout;
import griffin.backend.Step;
import griffin.weights.WeightFiles;
import java.util.function.LongConsumer;

/**
 * A Griffin model bound to a backend: its weights, and the one forward pass, for prompts, chunks of prompts and single tokens, of one or
 * many sequences in a step. It holds no state of any sequence; every method only issues operations.
 */
public final class GriffinModel {

    private final Backend backend;
    private final GriffinConfig config;
    private final GriffinWeights weights;
    private final AttentionShape attentionShape;

    /**
     * Loads the weights of {@code files} into the backend. The mapped files must outlive the model.
     *
     * @throws griffin.error.ModelFormatException when a tensor is missing or does not fit the configuration
     */
    public GriffinModel(Backend backend, GriffinConfig config, WeightFiles files) {
        this(backend, config, files, bytes -> {});
    }

    /** The same, telling after each weight how many bytes of the files it had. */
    public GriffinModel(Backend backend, GriffinConfig config, WeightFiles files, LongConsumer loaded) {
        this.backend = backend;
        this.config = config;
        weights = GriffinWeights.load(backend, config, files, loaded);
        attentionShape = new AttentionShape(config.heads(), config.headWidth(), config.window(), config.rotaryWidth(), config.ropeTheta());
    }

    public GriffinConfig config() {
        return config;
    }

    /** Shape of one sequence's state. */
    public static StateLayout stateLayout(GriffinConfig c) {
        return new StateLayout(c.recurrentLayers(), c.attentionLayers(), c.lruWidth(), c.convTaps() - 1, c.window(), c.headWidth(),
                c.vocabulary());
    }

    /**
     * What a model takes of a device.
     *
     * @param slots        sequences that can be open at once
     * @param maxRows      M: token rows of one step
     * @param maxSequences S: sequences of one step
     */
    public static MemoryNeed memoryNeed(GriffinConfig c, int slots, int maxRows, int maxSequences) {
        long gates = 2L * c.lruWidth() * c.gateWidth();
        long recurrent = 3L * c.lruWidth() * c.width() + gates;
        long attention = (2L * c.heads() + 2) * c.headWidth() * c.width();
        long products = c.recurrentLayers() * recurrent + c.attentionLayers() * attention + 3L * c.layers() * c.mlpWidth() * c.width()
                + (c.tied() ? 1L : 2L) * c.vocabulary() * c.width();
        return new MemoryNeed(products, c.parameters() - products, stateLayout(c), slots, maxRows, Workspace.operandColumns(c),
                Workspace.floatColumns(c), ModelRunner.logitsRows(maxRows, maxSequences));
    }

    /**
     * Reads the headers of all tensors and loads nothing.
     *
     * @throws griffin.error.ModelFormatException when a tensor is missing or does not fit the configuration
     */
    public static void requireWeights(GriffinConfig config, WeightFiles files) {
        GriffinWeights.require(config, files);
    }

    /** All that a step needs beside the states; reused by every step of at most {@code maxRows} rows. */
    Workspace workspace(int maxRows, int maxLogits) {
        return Workspace.allocate(backend, config, maxRows, maxLogits);
    }

    /** Sees the residual stream [rows, D] after each layer; for tests. */
    interface LayerObserver {
        void after(int layer, Buffer residual, Buffer delta);
    }

    /**
     * Reads the step's tokens into the states and leaves the normed rows that want logits in {@code w.hidden()}. The last layer computes
     * only those rows beyond its own state.
     */
    void forward(Step step, StateBuffers states, Workspace w) {
        forward(step, states, w, null);
    }

    void forward(Step step, StateBuffers states, Workspace w, LayerObserver observer) {
        backend.embed(step, weights.embedding(), config.embeddingScale(), w.residual());
        Buffer residual = w.residual();
        Buffer delta = null;
        Rows rows = step.rows();
        int recurrent = 0;
        int attention = 0;
        for (int i = 0; i < config.layers(); i++) {
            GriffinWeights.Layer layer = weights.layers().get(i);
            backend.addRmsNorm(rows, residual, delta, layer.temporalPreNorm(), config.normEpsilon(), w.normed());
            Buffer mixed = layer.recurrent() != null ? recurrentBlock(step, layer.recurrent(), states, recurrent++, w)
                    : attentionBlock(step, layer.attention(), states, attention++, w);
            if (i == config.layers() - 1) {
                backend.selectRows(step, residual, w.selected());
                backend.selectRows(step, mixed, w.selectedMixed());
                residual = w.selected();
                mixed = w.selectedMixed().columns(0, mixed.columns());
                rows = step.outputs();
            }
            delta = w.delta();
            outputProjection(rows, layer, mixed, delta);
            backend.addRmsNorm(rows, residual, delta, layer.channelPreNorm(), config.normEpsilon(), w.normed());
            backend.gatedMlp(rows, w.normed(), layer.mlp(), w.gateAndUp(), delta);
            if (observer != null) {
                observer.after(i, residual, delta);
            }
        }
        backend.addRmsNorm(rows, residual, delta, weights.finalNorm(), config.normEpsilon(), w.hidden());
    }

    /** y = gelu(linear_y u), v = linear_x u, h = RG-LRU(conv v); leaves h * y [M, E]. */
    private Buffer recurrentBlock(Step step, GriffinWeights.Recurrent block, StateBuffers states, int index, Workspace w) {
        Buffer mixed = w.mixed().columns(0, config.lruWidth());
        backend.linear(step.rows(), w.normed(), block.xy(), block.xyBias(), w.xy());
        backend.recurrence(step, w.xy(), block.recurrence(), states.conv().get(index), states.h().get(index), w.conv(), mixed);
        return mixed;
    }

    /** Rotary multi-query attention over the window; leaves the heads' outputs [M, H K]. */
    private Buffer attentionBlock(Step step, GriffinWeights.Attention block, StateBuffers states, int index, Workspace w) {
        Buffer mixed = w.mixed().columns(0, config.heads() * config.headWidth());
        backend.linear(step.rows(), w.normed(), block.qkv(), null, w.qkv());
        backend.attention(step, attentionShape, w.qkv(), states.keys().get(index), states.values().get(index), mixed);
        return mixed;
    }

    private void outputProjection(Rows rows, GriffinWeights.Layer layer, Buffer mixed, Buffer out) {
        if (layer.recurrent() != null) {
            backend.linear(rows, mixed, layer.recurrent().out(), layer.recurrent().outBias(), out);
        } else {
            backend.linear(rows, mixed, layer.attention().out(), layer.attention().outBias(), out);
        }
    }

    /** Logits [rows, V] of normed rows [rows, D], soft cap included. */
    void logits(Rows rows, Buffer hidden, Buffer out) {
        backend.logits(rows, hidden, weights.head(), config.logitsSoftCap(), out);
    }
}
