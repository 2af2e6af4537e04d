package griffin.server;

import static griffin.server.Served.MODEL;
import static griffin.server.Served.at;
import static org.junit.jupiter.api.Assertions.assertEquals;

import griffin.GenerationOptions;
import griffin.Session;
import griffin.sampling.SamplingParams;
import griffin.stories.GriffinStories;
import griffin.weights.ModelFiles;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A model whose tokenizer has no turn markers continues the messages as one text. */
class BaseModelTest {

    private static final GenerationOptions GREEDY = GenerationOptions.DEFAULT.withSampling(SamplingParams.GREEDY).withMaxTokens(10);

    @TempDir
    Path folder;

    /** The embedded model, with its markers under other names. */
    private ModelFiles withoutTurns() throws Exception {
        ModelFiles stories = GriffinStories.files();
        for (String name : new String[] {"config.json", "generation_config.json", "tokenizer.json", "model.safetensors.index.json",
            "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors"}) {
            try (InputStream in = stories.open(name)) {
                byte[] bytes = in.readAllBytes();
                Files.write(folder.resolve(name), !name.equals("tokenizer.json") ? bytes
                        : new String(bytes, StandardCharsets.UTF_8).replace("<start_of_turn>", "<first_unused>")
                                .replace("<end_of_turn>", "<second_unused>").getBytes(StandardCharsets.UTF_8));
            }
        }
        return ModelFiles.of(folder);
    }

    @Test
    void messagesAreOneText() throws Exception {
        try (Served served = Served.start(withoutTurns())) {
            Map<?, ?> answer = served.ok("/v1/chat/completions",
                    "{\"model\":\"" + MODEL + "\",\"temperature\":0,\"max_tokens\":10,\"messages\":["
                            + "{\"role\":\"system\",\"content\":\"A story.\"},{\"role\":\"user\",\"content\":\"Tom had a\"},"
                            + "{\"role\":\"assistant\",\"content\":\" red ball.\"},{\"role\":\"user\",\"content\":\"He\"}]}");
            try (Session session = served.griffin.newSession()) {
                assertEquals(session.generate("A story.\n\nTom had a red ball.\nHe", GREEDY, piece -> {}).text(),
                        at(answer, "choices", 0, "message", "content"));
            }
            assertEquals("{{ .Prompt }}", at(served.ok("/api/show", "{\"model\":\"" + MODEL + "\"}"), "template"));
        }
    }

    @Test
    void aSessionGoesOnWithTheText() throws Exception {
        try (Served served = Served.start(withoutTurns())) {
            String body =
                    "{\"model\":\"" + MODEL + "\",\"session_id\":\"s\",\"stream\":false,\"options\":{\"temperature\":0,\"num_predict\":10},"
                            + "\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}";
            String first = at(served.ok("/api/chat", body.formatted("Once upon a time")), "message", "content");
            String second = at(served.ok("/api/chat", body.formatted("Then")), "message", "content");
            try (Session session = served.griffin.newSession()) {
                assertEquals(first, session.generate("Once upon a time", GREEDY, piece -> {}).text());
                assertEquals(second, session.generate("\nThen", GREEDY, piece -> {}).text());
            }
        }
    }
}
