package griffin.model;

import static griffin.weights.Faults.assertFault;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.backend.DType;
import griffin.weights.ModelFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GriffinConfigTest {

    private static final String SMALL = "'model_type':'recurrent_gemma','hidden_size':96,'num_hidden_layers':4,'num_attention_heads':3,"
            + "'intermediate_size':192,'vocab_size':131";

    private static GriffinConfig config(String json) {
        return GriffinConfig.parse(json.replace('\'', '"'), "dir/config.json");
    }

    /** The small config with one key added or, since later text wins nowhere, replaced. */
    private static GriffinConfig with(String key, String value) {
        StringBuilder json = new StringBuilder("{");
        for (String member : SMALL.split(",")) {
            if (!member.startsWith("'" + key + "'")) {
                json.append(member).append(',');
            }
        }
        return config(json + "'" + key + "':" + value + "}");
    }

    private static String resource(String name) throws IOException {
        return Files.readString(Path.of("src/test/resources", name));
    }

    @Test
    void the2bConfig() throws IOException {
        GriffinConfig c = config(resource("configs/2b.json"));
        assertEquals(2_682_862_080L, c.parameters());
        assertEquals(17_238_016, c.stateBytes(DType.BF16));
        assertEquals(34_291_712, c.stateBytes(DType.F32));
        assertEquals(List.of(256000, 2560, 2560, 7680, 10, 256, 2048, 26, 4, 128, 256),
                List.of(c.vocabulary(), c.width(), c.lruWidth(), c.mlpWidth(), c.heads(), c.headWidth(),
                        c.window(), c.layers(), c.convTaps(), c.rotaryWidth(), c.gateWidth()));
        assertEquals(18, c.recurrentLayers());
        assertEquals(8, c.attentionLayers());
        for (int layer = 0; layer < 26; layer++) {
            assertEquals(layer % 3 == 2 ? BlockKind.ATTENTION : BlockKind.RECURRENT, c.blockKind(layer));
        }
        assertEquals(50.5f, c.embeddingScale(), "sqrt(2560) = 50.596 rounds to bfloat16 50.5");
        assertEquals(OptionalInt.of(2), c.bosId());
        assertEquals(List.of(1), c.eosIds());
        assertEquals(OptionalInt.of(0), c.padId());
        assertTrue(c.tied());
    }

    @Test
    void the9bConfig() throws IOException {
        GriffinConfig c = config(resource("configs/9b.json"));
        assertEquals(8_579_977_216L, c.parameters());
        assertEquals(26_230_784, c.stateBytes(DType.BF16));
        assertEquals(52_035_584, c.stateBytes(DType.F32));
        assertEquals(26, c.recurrentLayers());
        assertEquals(12, c.attentionLayers());
        assertEquals(64, c.embeddingScale());
    }

    @Test
    void everyGoldenConfig() {
        for (String name : List.of("tiny-a", "tiny-b", "tiny-c", "real-head")) {
            GriffinConfig c = GriffinConfig.read(ModelFiles.of(Path.of("src/test/resources/golden", name)));
            assertEquals(c.rotaryWidth(), c.headWidth() / 2, name);
            assertEquals(BlockKind.ATTENTION, c.blockKind(2), name);
            assertEquals(name.equals("tiny-c") ? 2 * c.width() : c.width(), c.lruWidth(), name);
        }
        assertEquals(9.8125f, GriffinConfig.read(ModelFiles.of(Path.of("src/test/resources/golden/tiny-b"))).embeddingScale());
    }

    @Test
    void absentKeys() {
        GriffinConfig c = config("{" + SMALL + "}");
        assertEquals(List.of(96, 32, 2048, 4, 16, 96),
                List.of(c.lruWidth(), c.headWidth(), c.window(), c.convTaps(), c.rotaryWidth(), c.mlpWidth()));
        assertEquals(List.of(BlockKind.RECURRENT, BlockKind.RECURRENT, BlockKind.ATTENTION, BlockKind.RECURRENT), c.blockKinds());
        assertTrue(c.tied() && c.scaledEmbedding());
        assertEquals(30, c.logitsSoftCap());
        assertEquals(1e-6f, c.normEpsilon());
        assertEquals(10000, c.ropeTheta());
        assertTrue(c.bosId().isEmpty() && c.eosIds().isEmpty() && c.padId().isEmpty());
    }

    @Test
    void presentKeys() {
        assertEquals(96, with("lru_width", "null").lruWidth());
        assertFalse(with("tie_word_embeddings", "false").tied());
        assertEquals(config("{" + SMALL + "}").parameters() + 131 * 96, with("tie_word_embeddings", "false").parameters());
        assertEquals(1, with("embeddings_scale_by_sqrt_dim", "false").embeddingScale());
        assertEquals(List.of(1, 7), with("eos_token_id", "[1,7]").eosIds());
        assertEquals(8, with("partial_rotary_factor", "0.25").rotaryWidth());
        GriffinConfig nested = config("{" + SMALL + ",'rope_theta':1,'rope_parameters':{'rope_type':'default','rope_theta':5000.0}}");
        assertEquals(5000, nested.ropeTheta());
        assertEquals(16, nested.rotaryWidth());
        assertEquals(BlockKind.ATTENTION, with("_block_types", "['attention']").blockKind(3));
        assertEquals(BlockKind.ATTENTION, with("block_types", "['attention']").blockKind(0));
        assertEquals(OptionalInt.of(5), config("{" + SMALL + ",'bos_token_id':5,'rotary_emb_base':[{}],'torch_dtype':7}").bosId());
        assertEquals(4, config("{" + SMALL.replace("'model_type':'recurrent_gemma'", "'architectures':['RecurrentGemmaForCausalLM']") + "}")
                .layers());
    }

    @Test
    void otherArchitectures() {
        assertFault(() -> config("{'model_type':'llama','architectures':['LlamaForCausalLM']}"), "dir/config.json", "recurrent_gemma",
                "\"llama\"");
        assertFault(() -> config("{'architectures':['GemmaForCausalLM']}"), "RecurrentGemmaForCausalLM", "[GemmaForCausalLM]");
        assertFault(() -> config("{}"), "dir/config.json", "RecurrentGemmaForCausalLM", "not a Griffin model");
    }

    @Test
    void badValues() {
        assertFault(() -> with("num_key_value_heads", "3"), "dir/config.json", "'num_key_value_heads'", "1 or absent", "found 3");
        assertFault(() -> with("hidden_size", "0"), "'hidden_size'", "from 1 to 1048576", "found 0");
        assertFault(() -> with("hidden_size", "-96"), "'hidden_size'", "found -96");
        assertFault(() -> with("hidden_size", "9999999999"), "'hidden_size'", "found 9999999999");
        assertFault(() -> with("hidden_size", "'96'"), "'hidden_size'", "an integer", "found \"96\"");
        assertFault(() -> with("hidden_size", "97"), "'hidden_size'", "multiple of num_attention_heads 3", "found 97");
        assertFault(() -> with("lru_width", "97"), "'lru_width'", "multiple of num_attention_heads 3", "found 97");
        assertFault(() -> with("intermediate_size", "191"), "'intermediate_size'", "even", "found 191");
        assertFault(() -> with("vocab_size", "null"), "'vocab_size'", "null");
        assertFault(() -> with("hidden_activation", "'silu'"), "'hidden_activation'", "gelu_pytorch_tanh", "\"silu\"");
        assertFault(() -> with("attention_bias", "true"), "'attention_bias'", "false or absent", "found true");
        assertFault(() -> with("head_dim", "30"), "'partial_rotary_factor'", "head width 30", "15");
        assertFault(() -> with("partial_rotary_factor", "0.0"), "'partial_rotary_factor'", "even and positive");
        assertFault(() -> with("partial_rotary_factor", "1.5"), "'partial_rotary_factor'", "found 1.5");
        assertFault(() -> with("rope_parameters", "{'rope_type':'yarn'}"), "'rope_parameters.rope_type'", "\"default\"", "\"yarn\"");
        assertFault(() -> with("conv1d_width", "9"), "'conv1d_width'", "from 2 to 8", "found 9");
        assertFault(() -> with("block_types", "[]"), "'block_types'", "found []");
        assertFault(() -> with("block_types", "['mamba']"), "'block_types'", "\"recurrent\" and \"attention\"", "[mamba]");
        assertFault(() -> config("{" + SMALL + ",'block_types':['attention'],'_block_types':['recurrent']}"), "'_block_types'",
                "[attention]",
                "[recurrent]");
        assertFault(() -> with("rms_norm_eps", "0"), "'rms_norm_eps'", "found 0");
        assertFault(() -> with("logits_soft_cap", "-30.0"), "'logits_soft_cap'", "found -30.0");
        assertFault(() -> with("eos_token_id", "[1,'x']"), "'eos_token_id'", "a list", "[1, x]");
        assertFault(() -> with("bos_token_id", "131"), "below vocab_size 131", "found 131");
    }

    @Test
    void absurdSizes() {
        assertFault(() -> config("{'model_type':'recurrent_gemma','hidden_size':1048576,'num_hidden_layers':4096,'num_attention_heads':1,"
                + "'intermediate_size':2097152,'vocab_size':16777216}"), "dir/config.json", "1099511627776 parameters", "found");
        assertFault(
                () -> config(
                        "{'model_type':'recurrent_gemma','hidden_size':64,'num_hidden_layers':4096,'num_attention_heads':1,'head_dim':64,"
                                + "'intermediate_size':2,'vocab_size':64,'attention_window_size':16777216}"),
                "dir/config.json", "state bytes", "found");
    }

    @Test
    void absentFile(@TempDir Path temp) throws IOException {
        assertFault(() -> GriffinConfig.read(ModelFiles.of(temp)), temp.resolve("config.json").toString(), "does not exist",
                "found no files");
        Files.createFile(temp.resolve("model.gguf"));
        assertFault(() -> GriffinConfig.read(ModelFiles.of(temp)), "found model.gguf");
    }
}
