package griffin.model;

import griffin.json.Json;
import griffin.weights.ModelFiles;
import griffin.weights.Safetensors;
import griffin.weights.Tensor;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** One golden case: a model directory and the numbers the authors' code computed with it (src/test/resources/golden/README.md). */
final class Golden {

    static final List<String> CASES = List.of("tiny-a", "tiny-b", "tiny-c", "real-head");
    static final float LOGITS = 5e-4f;
    static final float HIDDEN = 2e-4f;
    static final float STATE = 1e-4f;

    /** From the folder of any module under java/. */
    private static final Path FOLDER = Path.of("../core/src/test/resources/golden");

    final Path directory;
    private final Map<String, Tensor> tensors = new HashMap<>();

    Golden(String name) {
        directory = FOLDER.resolve(name);
        Safetensors file = Safetensors.open(ModelFiles.of(directory), "golden.safetensors", Arena.ofAuto());
        for (String tensor : file.names()) {
            tensors.put(tensor, file.find(tensor).orElseThrow());
        }
    }

    boolean has(String name) {
        return tensors.containsKey(name);
    }

    int greedyPromptLength() {
        return (int) Json.object(ModelFiles.of(directory).open("golden.json"), "golden.json").integer("greedy_prompt_length", 1, 1000);
    }

    int[] ints(String name) {
        Tensor tensor = tensors.get(name);
        int[] out = new int[(int) tensor.elements()];
        for (int i = 0; i < out.length; i++) {
            out[i] = tensor.getInt(i);
        }
        return out;
    }

    float[] floats(String name) {
        Tensor tensor = tensors.get(name);
        float[] out = new float[(int) tensor.elements()];
        for (int i = 0; i < out.length; i++) {
            out[i] = tensor.get(i);
        }
        return out;
    }

    @Override
    public String toString() {
        return directory.getFileName().toString();
    }
}
