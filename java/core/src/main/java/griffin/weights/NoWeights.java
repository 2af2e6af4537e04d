package griffin.weights;

import java.util.List;
import java.util.Locale;

/** What to tell someone whose directory has no safetensors. */
final class NoWeights {

    private static final List<String> OTHER_FORMATS = List.of(".bin", ".gguf", ".pt", ".pth", ".ckpt", ".h5", ".npz", ".msgpack", ".sbs", ".onnx",
            ".model", ".safetensors");

    private NoWeights() {
    }

    static String message(ModelFiles files) {
        List<String> names = files.names();
        List<String> others = names.stream().filter(n -> OTHER_FORMATS.stream().anyMatch(n.toLowerCase(Locale.ROOT)::endsWith)).toList();
        List<String> shown = others.isEmpty() ? names : others;
        String found = shown.isEmpty() ? "an empty directory" : String.join(", ", shown.subList(0, Math.min(8, shown.size())))
                + (shown.size() > 8 ? " and " + (shown.size() - 8) + " more" : "");
        return files.location() + " holds no weights this library reads: expected model.safetensors, or model.safetensors.index.json and its"
                + " shards, found " + JsonObject.shorten(found) + "; use the model's Hugging Face form, or convert it with save_pretrained";
    }
}
