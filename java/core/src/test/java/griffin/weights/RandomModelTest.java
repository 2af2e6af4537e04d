package griffin.weights;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.backend.DType;
import griffin.model.GriffinConfig;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RandomModelTest {

    @TempDir
    private Path temp;

    @Test
    void writesACompleteModelInEveryTypeAndNumberOfShards() throws IOException {
        String json = Files.readString(Path.of("src/test/resources/golden/tiny-c/config.json"));
        GriffinConfig config = GriffinConfig.parse(json, "config.json");
        for (DType type : new DType[] {DType.BF16, DType.F16, DType.F32}) {
            for (long shardBytes : new long[] {Long.MAX_VALUE, 100_000}) {
                Path directory = temp.resolve(type + "-" + shardBytes);
                RandomModel.write(directory, json, 3, type, shardBytes);
                WeightFiles weights = WeightFiles.open(ModelFiles.of(directory), Arena.ofAuto());
                weights.check();
                assertEquals(config.parameters() * type.bytes(), weights.bytes());
                assertEquals(shardBytes == 100_000, Files.exists(directory.resolve("model.safetensors.index.json")));
                RandomModel.tensors(config).forEach(spec -> weights.require(spec.name(), spec.shape()));
            }
        }
    }

    @Test
    void scalesAreSensible() throws IOException {
        String json = Files.readString(Path.of("src/test/resources/golden/real-head/config.json"));
        RandomModel.write(temp, json, 3, DType.F32);
        WeightFiles weights = WeightFiles.open(ModelFiles.of(temp), Arena.ofAuto());
        Tensor linear = weights.require("model.layers.0.temporal_block.linear_x.weight", 512, 512);
        double sum = 0;
        double squares = 0;
        for (long i = 0; i < linear.elements(); i++) {
            sum += linear.get(i);
            squares += linear.get(i) * linear.get(i);
        }
        assertEquals(0, sum / linear.elements(), 1e-3);
        assertEquals(1 / Math.sqrt(512), Math.sqrt(squares / linear.elements()), 1e-3);
        Tensor decay = weights.require("model.layers.0.temporal_block.rg_lru.recurrent_param", 512);
        double least = 1;
        double most = 0;
        for (int i = 0; i < 512; i++) {
            double a = Math.exp(-8 * Math.log1p(Math.exp(decay.get(i))));
            least = Math.min(least, a);
            most = Math.max(most, a);
        }
        assertTrue(least >= 0.8999 && least < 0.905 && most > 0.994 && most <= 0.9991, least + " to " + most);
    }

    @Test
    void sameSeedSameBytes() throws IOException {
        String json = Files.readString(Path.of("src/test/resources/golden/tiny-a/config.json"));
        RandomModel.write(temp.resolve("1"), json, 7, DType.BF16);
        RandomModel.write(temp.resolve("2"), json, 7, DType.BF16);
        RandomModel.write(temp.resolve("3"), json, 8, DType.BF16);
        byte[] first = Files.readAllBytes(temp.resolve("1/model.safetensors"));
        assertArrayEquals(first, Files.readAllBytes(temp.resolve("2/model.safetensors")));
        assertFalse(Arrays.equals(first, Files.readAllBytes(temp.resolve("3/model.safetensors"))));
    }
}
