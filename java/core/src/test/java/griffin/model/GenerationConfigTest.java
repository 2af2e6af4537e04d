package griffin.model;

import static griffin.weights.Faults.assertFault;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.weights.ModelFiles;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GenerationConfigTest {

    private static GenerationConfig config(String json) {
        return GenerationConfig.parse(json.replace('\'', '"'), "dir/generation_config.json");
    }

    @Test
    void absentFileIsGreedy(@TempDir Path temp) {
        assertSame(GenerationConfig.GREEDY, GenerationConfig.read(ModelFiles.of(temp)));
        assertTrue(GenerationConfig.GREEDY.greedy());
    }

    @Test
    void everyKey() {
        GenerationConfig c =
                config("{'bos_token_id':2,'eos_token_id':[1,107],'pad_token_id':0,'do_sample':true,'temperature':0.8,'top_k':40,"
                        + "'top_p':0.9,'min_p':0.05,'repetition_penalty':1.1,'max_new_tokens':400,'transformers_version':'5'}");
        assertEquals(new GenerationConfig(List.of(1, 107), OptionalInt.of(2), OptionalInt.of(0), 0.8f, 40, 0.9f, 0.05f, 1.1f,
                OptionalInt.of(400)), c);
        assertFalse(c.greedy());
    }

    @Test
    void greedyUnlessSampling() {
        assertEquals(GenerationConfig.GREEDY, config("{}"));
        assertTrue(config("{'temperature':0.7}").greedy());
        assertTrue(config("{'do_sample':false,'temperature':0.7}").greedy());
        assertTrue(config("{'do_sample':true,'temperature':0.0}").greedy());
        assertEquals(1, config("{'do_sample':true}").temperature());
        assertEquals(List.of(1), config("{'eos_token_id':1}").eosIds());
    }

    @Test
    void badValues() {
        assertFault(() -> config("{'eos_token_id':-1}"), "dir/generation_config.json", "'eos_token_id'", "found -1");
        assertFault(() -> config("{'eos_token_id':[1.5]}"), "'eos_token_id'", "[1.5]");
        assertFault(() -> config("{'temperature':-1}"), "'temperature'", "from 0.0", "found -1");
        assertFault(() -> config("{'top_p':1.5}"), "'top_p'", "from 0.0 to 1.0", "found 1.5");
        assertFault(() -> config("{'top_k':-2}"), "'top_k'", "found -2");
        assertFault(() -> config("{'do_sample':1}"), "'do_sample'", "true or false", "found 1");
        assertFault(() -> config("{'max_new_tokens':0}"), "'max_new_tokens'", "found 0");
        assertFault(() -> config("{"), "dir/generation_config.json", "JSON, line 1 column 2", "expected a name");
    }
}
