package griffin.backend;

/**
 * Shape of one sequence's state. Exported in this order, without gaps: h [recurrentLayers, E]; conv [recurrentLayers, C-1, E];
 * for each attention layer keys [W, K], then values [W, K]; seen [ceil(V/32)] I32 (one bit per token that was consumed).
 *
 * @param recurrentLayers layers with h and conv
 * @param attentionLayers layers with keys and values
 * @param lruWidth   E
 * @param convRows   C - 1
 * @param window     W
 * @param headDim    K
 * @param vocabulary V
 */
public record StateLayout(int recurrentLayers, int attentionLayers, int lruWidth, int convRows, int window, int headDim, int vocabulary) {

    /** 32-bit words of the seen set. */
    public int seenWords() {
        return (vocabulary + 31) / 32;
    }

    /** Bytes of the model's state with float32 elements, without the seen set. */
    public long modelBytes() {
        return 4L * ((long) recurrentLayers * lruWidth * (1 + convRows) + 2L * attentionLayers * window * headDim);
    }

    /** Bytes of an exported slot. */
    public long bytes() {
        return modelBytes() + 4L * seenWords();
    }
}
