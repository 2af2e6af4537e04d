package griffin.weights;

import static griffin.weights.Faults.assertFault;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.backend.DType;
import griffin.model.GriffinConfig;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WeightFilesTest {

    private static final String ONE = "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]}}";

    private static WeightFiles open(ModelFiles files) {
        return WeightFiles.open(files, Arena.ofAuto());
    }

    private static MemoryFiles index(String... pairs) {
        StringBuilder map = new StringBuilder();
        for (int i = 0; i < pairs.length; i += 2) {
            map.append(i == 0 ? "" : ",").append('"').append(pairs[i]).append("\":\"").append(pairs[i + 1]).append('"');
        }
        return new MemoryFiles().put("model.safetensors.index.json", "{\"metadata\":{},\"weight_map\":{" + map + "}}");
    }

    @Test
    void goldenModelsAreCompleteAndFinite() {
        for (String name : new String[] {"tiny-a", "tiny-b", "tiny-c", "real-head"}) {
            ModelFiles files = ModelFiles.of(Path.of("src/test/resources/golden", name));
            GriffinConfig config = GriffinConfig.read(files);
            WeightFiles weights = open(files);
            long elements = 0;
            for (RandomModel.Spec spec : RandomModel.tensors(config)) {
                elements += weights.require(spec.name(), spec.shape()).elements();
            }
            assertEquals(config.parameters(), elements, name);
            weights.check();
            assertEquals(name.equals("tiny-b"), weights.find("lm_head.weight").isPresent());
        }
    }

    @Test
    void requireNamesBothFiles() {
        WeightFiles weights = open(new MemoryFiles().safetensors("model.safetensors", ONE, 8));
        assertEquals(2, weights.require("a", 1, 2).elements());
        assertEquals(8, weights.bytes());
        assertFault(() -> weights.require("a", 2, 1), "'a'", "[2, 1]", "memory/config.json", "found [1, 2]", "memory/model.safetensors");
        assertFault(() -> weights.require("b", 3), "'b'", "[3]", "memory/config.json", "missing in memory/model.safetensors");
        assertTrue(weights.find("b").isEmpty());
        String integers = ONE.replace("F32", "I32");
        WeightFiles wrong = open(new MemoryFiles().safetensors("model.safetensors", integers, 8));
        assertFault(() -> wrong.require("a", 1, 2), "memory/model.safetensors", "'a'", "F32, BF16 or F16", "found I32");
    }

    @Test
    void shardFaults() {
        MemoryFiles absentShard = index("a", "1.safetensors", "b", "2.safetensors").safetensors("1.safetensors", ONE, 8);
        assertFault(() -> open(absentShard), "model.safetensors.index.json", "'b'", "memory/2.safetensors", "does not exist");
        MemoryFiles absentTensor = index("a", "1.safetensors", "b", "1.safetensors").safetensors("1.safetensors", ONE, 8);
        assertFault(() -> open(absentTensor), "model.safetensors.index.json", "'b'", "memory/1.safetensors", "found in no shard");
        MemoryFiles twice = index("a", "1.safetensors", "b", "2.safetensors").safetensors("1.safetensors", ONE, 8)
                .safetensors("2.safetensors", ONE, 8);
        assertFault(() -> open(twice), "'a'", "two shards", "memory/1.safetensors", "memory/2.safetensors");
        MemoryFiles swapped = index("a", "1.safetensors", "b", "2.safetensors")
                .safetensors("1.safetensors", ONE.replace("\"a\"", "\"b\""), 8).safetensors("2.safetensors", ONE, 8);
        assertFault(() -> open(swapped), "'a'", "memory/1.safetensors", "found in memory/2.safetensors");
        assertFault(() -> open(index("a", "../1.safetensors")), "'../1.safetensors'", "refused");
        assertFault(() -> open(index("a", "/etc/passwd")), "'/etc/passwd'", "refused");
        assertFault(() -> open(index("a", "C:x")), "'C:x'", "refused");
        assertFault(() -> open(new MemoryFiles().put("model.safetensors.index.json", "{\"weight_map\":{\"a\":1}}")), "'weight_map.a'",
                "a string",
                "found 1");
        assertFault(() -> open(new MemoryFiles().put("model.safetensors.index.json", "{}")), "'weight_map'", "missing");
        WeightFiles good = open(index("a", "1.safetensors").safetensors("1.safetensors", ONE, 8));
        assertEquals(2, good.require("a", 1, 2).elements());
    }

    @Test
    void otherFormats() {
        MemoryFiles files =
                new MemoryFiles().put("config.json", "{}").put("pytorch_model.bin", "").put("x.gguf", "").put("tokenizer.model", "");
        assertFault(() -> open(files), "memory", "expected model.safetensors", "found pytorch_model.bin, tokenizer.model, x.gguf",
                "Hugging Face");
        assertFault(() -> open(new MemoryFiles()), "an empty directory");
        assertFault(() -> open(new MemoryFiles().put("notes.txt", "")), "found notes.txt");
        MemoryFiles many = new MemoryFiles();
        for (int i = 0; i < 30; i++) {
            many.put("pytorch_model-" + i + ".bin", "");
        }
        assertFault(() -> open(many), "and 22 more");
    }

    @Test
    void checkFindsEveryKindOfBadValueAtEveryPlace(@TempDir Path temp) {
        for (DType type : new DType[] {DType.F32, DType.BF16, DType.F16}) {
            for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
                for (int at = 0; at < 11; at++) {
                    WeightFiles weights = weights(temp, type, 11, at, bad);
                    assertFault(weights::check, "'w'", bad + " at index " + at, "model.safetensors");
                }
            }
            weights(temp, type, 11, 3, 60000).check();
            weights(temp, type, 0, 0, 0).check();
            int blocks = 1_300_000;
            WeightFiles late = weights(temp, type, blocks, blocks - 1, Float.NaN);
            assertFault(late::check, "NaN at index " + (blocks - 1));
        }
    }

    @Test
    void checkReportsSeveralTensors(@TempDir Path temp) {
        try (SafetensorsWriter writer = new SafetensorsWriter(temp.resolve("model.safetensors"))) {
            writer.declare("u", DType.F32, 1).declare("v", DType.F32, 2).declare("n", DType.I32, 1);
            writer.write(new float[] {Float.NaN, 1, Float.POSITIVE_INFINITY}, 0, 3);
            writer.write(new int[] {-1});
            writer.finish();
        }
        assertFault(open(ModelFiles.of(temp))::check, "NaN at index 0 of tensor 'u'", "Infinity at index 1 of tensor 'v'");
    }

    private static WeightFiles weights(Path temp, DType type, int size, int at, float value) {
        float[] values = new float[size];
        Arrays.fill(values, -1.25f);
        if (size > 0) {
            values[at] = value;
        }
        try (SafetensorsWriter writer = new SafetensorsWriter(temp.resolve("model.safetensors"))) {
            writer.declare("w", type, size).write(values, 0, size);
            writer.finish();
        }
        return open(ModelFiles.of(temp));
    }

    @Test
    void tensorsDieWithTheirArena() {
        Tensor tensor;
        try (Arena arena = Arena.ofConfined()) {
            tensor = WeightFiles.open(ModelFiles.of(Path.of("src/test/resources/golden/tiny-a")), arena).find("model.final_norm.weight")
                    .orElseThrow();
            assertTrue(tensor.data().isMapped() && tensor.data().isReadOnly());
        }
        assertThrows(IllegalStateException.class, () -> tensor.get(0));
    }
}
