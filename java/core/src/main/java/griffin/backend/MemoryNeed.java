package griffin.backend;

/**
 * What a model will take of a device, in elements, so that it can be asked for every dtype, batch and chunk.
 *
 * @param productWeights elements of embeddings, linear weights and gates, stored in the operand type
 * @param otherWeights   elements of all other weights, stored in float32
 * @param layout         one sequence's state
 * @param slots          sequences that can be open at once, without the scrap slot
 * @param rows           M, the largest chunk
 * @param operandColumns columns of all operand buffers of the workspace together
 * @param floatColumns   columns of its float32 buffers, without the logits
 * @param logitsRows     rows of logits kept at once, V float32 each
 */
public record MemoryNeed(long productWeights, long otherWeights, StateLayout layout, int slots, int rows, long operandColumns,
        long floatColumns, int logitsRows) {

    /** Bytes of the weights with such operands. */
    public long weightBytes(DType operands) {
        return productWeights * operands.bytes() + 4 * otherWeights;
    }

    /** Bytes of all state slots, the scrap slot included. */
    public long stateBytes(DType operands) {
        return slotBytes(operands) * (slots + 1L);
    }

    private long slotBytes(DType operands) {
        long h = 4L * layout.recurrentLayers() * layout.lruWidth();
        return h + (layout.modelBytes() - h) / 4 * operands.bytes() + 4L * layout.seenWords();
    }

    /** Bytes of the buffers that all sequences share. */
    public long workspaceBytes(DType operands) {
        return rows * (operandColumns * operands.bytes() + floatColumns * 4) + 4L * layout.vocabulary() * logitsRows;
    }

    /** Bytes in all. */
    public long bytes(DType operands) {
        return weightBytes(operands) + stateBytes(operands) + workspaceBytes(operands);
    }

    /** The same model with other sessions and chunks. */
    public MemoryNeed with(int otherSlots, int otherRows) {
        return new MemoryNeed(productWeights, otherWeights, layout, otherSlots, otherRows, operandColumns, floatColumns,
                Math.min(logitsRows, otherRows));
    }
}
