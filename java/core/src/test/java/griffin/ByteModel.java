package griffin;

import griffin.backend.Backend;
import griffin.backend.DType;
import griffin.weights.ModelFiles;
import griffin.weights.RandomModel;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.UnaryOperator;

/** A small random model over bytes: a window of 7, and text that stops, splits characters and ends at random. */
final class ByteModel {

    static final int VOCABULARY = 261;
    static final int WINDOW = 7;
    static final int CHUNK = 16;
    static final int PARALLEL = 6;
    private static final String CONFIG = """
            {"model_type": "recurrent_gemma", "vocab_size": 261, "hidden_size": 32, "lru_width": 32, "intermediate_size": 64,
             "num_attention_heads": 2, "head_dim": 16, "attention_window_size": 7, "num_hidden_layers": 3, "conv1d_width": 4,
             "logits_soft_cap": 30.0, "rms_norm_eps": 1e-6, "bos_token_id": 2, "eos_token_id": [1, 40, 80, 120, 160, 200, 240]}""";
    private static final String TOKENIZER = """
            {"added_tokens": [], "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
             "pre_tokenizer": null, "decoder": {"type": "Sequence", "decoders": [
              {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]},
             "model": {"type": "BPE", "byte_fallback": true, "vocab": {%s"a": 256, "b": 257, "c": 258, "ab": 259, "abc": 260},
              "merges": ["a b", "ab c"]}}""";

    private ByteModel() {}

    /** Writes the model into a folder. */
    static void write(Path folder) {
        StringBuilder bytes = new StringBuilder();
        for (int b = 0; b < 256; b++) {
            bytes.append("\"<0x%02X>\": %d, ".formatted(b, b));
        }
        try {
            RandomModel.write(folder, CONFIG, 5, DType.BF16);
            Files.writeString(folder.resolve("tokenizer.json"), TOKENIZER.formatted(bytes));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static Griffin open(Path folder) {
        return open(folder, UnaryOperator.identity());
    }

    /** The model with room for {@link #PARALLEL} sequences of a scheduler, and as many sessions. */
    static Griffin open(Path folder, UnaryOperator<Backend> backend) {
        return Griffin.builder(ModelFiles.of(folder)).device("cpu").threads(1).chunk(CHUNK).parallel(PARALLEL).sessions(2 * PARALLEL)
                .backend(backend).open();
    }
}
