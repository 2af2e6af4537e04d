package griffin.benchmarks;

import java.util.Locale;

/**
 * The shapes that are measured. Letters are the project's: V vocabulary, D width, E recurrent width, F width of one MLP branch, H heads,
 * K head width, W window, L layers.
 */
enum ModelShape {
    M2B(256_000, 2560, 2560, 7680, 10, 256, 2048, 26),
    M9B(256_000, 4096, 4096, 12_288, 16, 256, 2048, 38),
    STORIES(4096, 320, 320, 960, 5, 64, 256, 11);

    final int vocabulary;
    final int width;
    final int lruWidth;
    final int mlpWidth;
    final int heads;
    final int headWidth;
    final int window;
    final int layers;

    ModelShape(int vocabulary, int width, int lruWidth, int mlpWidth, int heads, int headWidth, int window, int layers) {
        this.vocabulary = vocabulary;
        this.width = width;
        this.lruWidth = lruWidth;
        this.mlpWidth = mlpWidth;
        this.heads = heads;
        this.headWidth = headWidth;
        this.window = window;
        this.layers = layers;
    }

    /** A shape by the name on the command line: 2b, 9b or stories. */
    static ModelShape named(String name) {
        return switch (name.toLowerCase(Locale.ROOT)) {
            case "2b" -> M2B;
            case "9b" -> M9B;
            case "stories" -> STORIES;
            default -> throw new IllegalArgumentException("the shapes are 2b, 9b and stories, not " + name);
        };
    }

    /** A {@code config.json} of this shape with another number of layers. */
    String config(int layerCount) {
        return """
                {"architectures": ["RecurrentGemmaForCausalLM"], "model_type": "recurrent_gemma", "vocab_size": %d, "hidden_size": %d,
                 "lru_width": %d, "intermediate_size": %d, "num_attention_heads": %d, "head_dim": %d, "attention_window_size": %d,
                 "num_hidden_layers": %d, "tie_word_embeddings": true, "block_types": ["recurrent", "recurrent", "attention"]}
                """.formatted(vocabulary, width, lruWidth, 2 * mlpWidth, heads, headWidth, window, layerCount);
    }
}
