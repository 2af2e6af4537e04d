package griffin.benchmarks.gpu;

import static org.junit.jupiter.api.Assertions.assertEquals;

import griffin.model.GriffinConfig;
import org.junit.jupiter.api.Test;

/** The formulas against the numbers of the specification, sections 6 and 7, which are rounded there to three or four digits. */
class CostsTest {

    private static final Costs M2B = costs(2560, 15_360, 10, 26);
    private static final Costs M9B = costs(4096, 24_576, 16, 38);

    private static Costs costs(int width, int intermediate, int heads, int layers) {
        return new Costs(GriffinConfig.parse("""
                {"architectures": ["RecurrentGemmaForCausalLM"], "model_type": "recurrent_gemma", "vocab_size": 256000, "hidden_size": %d,
                 "lru_width": %d, "intermediate_size": %d, "num_attention_heads": %d, "head_dim": 256, "attention_window_size": 2048,
                 "num_hidden_layers": %d, "tie_word_embeddings": true, "block_types": ["recurrent", "recurrent", "attention"]}
                """.formatted(width, width, intermediate, heads, layers), "config.json"));
    }

    private static void near(double expected, double actual) {
        assertEquals(1, actual / expected, 2e-3, () -> "expected about " + expected + ", got " + actual);
    }

    @Test
    void weightsOfADecodeStep() {
        near(5.366e9, M2B.weightBytes());
        near(17.160e9, M9B.weightBytes());
    }

    @Test
    void stateOfADecodeStepWithAFullWindow() {
        near(16.8e6 + 0.37e6, M2B.stateBytes(1 << 20));
        near(25.2e6 + 0.85e6, M9B.stateBytes(1 << 20));
        assertEquals(18 * 2560 * 8, M2B.stateBytes(0), "no keys yet");
    }

    @Test
    void batchesReadWeightsOnce() {
        near(5.366e9 + 32 * 17.15e6, M2B.decodeBytes(32, 4096, 256));
        double one = M2B.decodeBytes(1, 128, 2);
        assertEquals(M2B.weightBytes() + (M2B.stateBytes(128) + M2B.stateBytes(129)) / 2.0, one);
    }

    @Test
    void operationsOfPrefill() {
        near(2 * 2.026e9, M2B.productOperations(1));
        near(2 * 7.529e9, M9B.productOperations(1));
        near(8.30e12, M2B.productOperations(2048));
        near(30.8e12, M9B.productOperations(2048));
    }

    @Test
    void operationsOfAttention() {
        near(0.172e12, M2B.attentionOperations(2048));
        near(0.413e12, M9B.attentionOperations(2048));
        assertEquals(1, M2B.attentionOperations(8192) / 1.20e12, 5e-3);
        assertEquals(1, M9B.attentionOperations(8192) / 2.89e12, 5e-3);
        near(0.168e9, M2B.attentionOperations(5001) - M2B.attentionOperations(5000));
    }

    @Test
    void theLastLayersUnneededPartIsNotCounted() {
        double skipped = 2.0 * 2048 * 2560 * (2560 + 3 * 7680);
        assertEquals(M2B.productOperations(2048) + M2B.attentionOperations(2048) - skipped, M2B.prefillOperations(2048));
    }
}
