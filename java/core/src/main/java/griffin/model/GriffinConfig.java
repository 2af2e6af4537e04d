package griffin.model;

import griffin.backend.DType;
import griffin.error.ModelFormatException;
import griffin.weights.BFloat16;
import griffin.weights.ModelFiles;
import java.util.List;
import java.util.OptionalInt;

/**
 * The sizes and constants of a Griffin model, from its {@code config.json}. The letters are the project's axis letters.
 *
 * @param vocabulary      V: number of tokens
 * @param width           D: width of the residual stream
 * @param lruWidth        E: width of the recurrent (RG-LRU) branch
 * @param mlpWidth        F: width of one MLP branch, half of the file's {@code intermediate_size}
 * @param heads           H: query heads, and also the number of gate blocks of the RG-LRU
 * @param headWidth       K: width of a head; keys and values have one head
 * @param window          W: attention window; a token sees itself and the W tokens before it
 * @param layers          L: number of layers
 * @param convTaps        C: taps of the causal convolution, the current token included
 * @param blockKinds      kind of temporal block of each layer, L entries
 * @param normEpsilon     added to the mean square in every RMS norm
 * @param logitsSoftCap   logits are cap * tanh(logits / cap)
 * @param ropeTheta       base of the rotary frequencies
 * @param rotaryWidth     leading elements of each head that are rotated; even
 * @param scaledEmbedding whether embeddings are multiplied by {@link #embeddingScale()}
 * @param tied            whether the output projection is the embedding table
 * @param bosId           id that starts every text, if the file names one
 * @param eosIds          ids that end a text; empty if the file names none
 * @param padId           padding id, if the file names one
 */
public record GriffinConfig(int vocabulary, int width, int lruWidth, int mlpWidth, int heads, int headWidth, int window, int layers,
        int convTaps, List<BlockKind> blockKinds, float normEpsilon, float logitsSoftCap, float ropeTheta, int rotaryWidth,
        boolean scaledEmbedding, boolean tied, OptionalInt bosId, List<Integer> eosIds, OptionalInt padId) {

    public GriffinConfig {
        blockKinds = List.copyOf(blockKinds);
        eosIds = List.copyOf(eosIds);
    }

    /**
     * Reads and checks {@code config.json}.
     *
     * @throws ModelFormatException if it is missing, malformed, not a Griffin architecture, or its sizes contradict each other
     */
    public static GriffinConfig read(ModelFiles files) {
        return ConfigReader.read(files);
    }

    /** Reads and checks the text of a {@code config.json}; {@code file} names it in messages. */
    public static GriffinConfig parse(String json, String file) {
        return ConfigReader.parse(json, file);
    }

    /** The same model looking back on another number of tokens. */
    public GriffinConfig withWindow(int tokens) {
        return new GriffinConfig(vocabulary, width, lruWidth, mlpWidth, heads, headWidth, tokens, layers, convTaps, blockKinds, normEpsilon,
                logitsSoftCap, ropeTheta, rotaryWidth, scaledEmbedding, tied, bosId, eosIds, padId);
    }

    /** G = E / H: width of one diagonal gate block of the RG-LRU. */
    public int gateWidth() {
        return lruWidth / heads;
    }

    /** Kind of a layer's temporal block. */
    public BlockKind blockKind(int layer) {
        return blockKinds.get(layer);
    }

    /** Number of layers with a recurrent block. */
    public int recurrentLayers() {
        return layers - attentionLayers();
    }

    /** Number of layers with an attention block. */
    public int attentionLayers() {
        return (int) blockKinds.stream().filter(kind -> kind == BlockKind.ATTENTION).count();
    }

    /** Factor on embeddings: sqrt(D) rounded to bfloat16, as the weights were trained with it, or 1. */
    public float embeddingScale() {
        return scaledEmbedding ? BFloat16.round((float) Math.sqrt(width)) : 1;
    }

    /** Number of parameters, those of a separate output projection included if the model is not tied. */
    public long parameters() {
        long d = width;
        long e = lruWidth;
        long f = mlpWidth;
        long hk = (long) heads * headWidth;
        long everyLayer = 2 * d + 2 * (f * d + f) + d * f + d;
        long recurrent = 2 * (e * d + e) + d * e + d + convTaps * e + e + e + 2 * (e * gateWidth() + e);
        long attention = hk * d + 2L * headWidth * d + d * hk + d;
        long embedding = vocabulary * d;
        return embedding + d + layers * everyLayer + recurrentLayers() * recurrent + attentionLayers() * attention + (tied ? 0 : embedding);
    }

    /**
     * Bytes of one sequence's state with a full window of W slots: recurrent state in float32, convolution history and keys and values
     * in the given type.
     */
    public long stateBytes(DType activations) {
        long lru = 4L * recurrentLayers() * lruWidth;
        long conv = (long) recurrentLayers() * (convTaps - 1) * lruWidth * activations.bytes();
        long keysAndValues = 2L * attentionLayers() * window * headWidth * activations.bytes();
        return lru + conv + keysAndValues;
    }
}
