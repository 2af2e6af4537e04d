package griffin.weights;

import griffin.json.Excerpt;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/** What to tell someone whose directory has no safetensors. */
final class NoWeights {

    private static final List<String> OTHER_FORMATS =
            List.of(".bin", ".gguf", ".pt", ".pth", ".ckpt", ".h5", ".npz", ".msgpack", ".sbs", ".onnx", ".model",
                    ".safetensors");

    private static final int SHOWN = 8;

    private NoWeights() {}

    static String message(ModelFiles files) {
        List<String> names = files.names();
        List<String> others = names.stream().filter(n -> OTHER_FORMATS.stream().anyMatch(n.toLowerCase(Locale.ROOT)::endsWith)).toList();
        List<String> shown = others.isEmpty() ? names : others;
        String more = shown.size() > SHOWN ? " and " + (shown.size() - SHOWN) + " more" : "";
        String found = shown.isEmpty() ? "an empty directory"
                : shown.stream().limit(SHOWN).map(Excerpt::of).collect(Collectors.joining(", ")) + more;
        return files.location()
                + " holds no weights this library reads: expected model.safetensors, or model.safetensors.index.json and its"
                + " shards, found " + found + "; use the model's Hugging Face form, or convert it with save_pretrained";
    }
}
