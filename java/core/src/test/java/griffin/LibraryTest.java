package griffin;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.error.BackendUnavailableException;
import griffin.error.InvalidRequestException;
import griffin.error.ModelFormatException;
import griffin.sampling.SamplingParams;
import griffin.weights.ModelFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The public interface as a user meets it. */
class LibraryTest {

    private static final GenerationOptions GREEDY = GenerationOptions.DEFAULT.withSampling(SamplingParams.GREEDY).withMaxTokens(24);

    @Test
    void listenerStreamAndResultAgree() {
        try (Griffin griffin = TestModels.open(TestModels.STORIES, 64)) {
            StringBuilder heard = new StringBuilder();
            Generation g;
            try (Session session = griffin.newSession()) {
                g = session.generate("Once upon a time", GREEDY, heard::append);
            }
            assertTrue(heard.toString().startsWith(", there was a little girl named Lily. She loved to play with her toys and eat"),
                    heard.toString());
            assertEquals(g.text(), heard.toString());
            assertEquals(24, g.ids().size());
            assertEquals(2, g.promptIds().getFirst(), "BOS");
            assertEquals(FinishReason.LENGTH, g.finishReason());
            try (Session session = griffin.newSession(); Stream<String> pieces = session.stream("Once upon a time", GREEDY)) {
                assertEquals(g.text(), pieces.collect(Collectors.joining()));
            }
        }
    }

    /** What headers alone tell is what an opened model has. */
    @Test
    void infoTellsWhatOpeningGives() {
        for (Path model : List.of(TestModels.STORIES, TestModels.TINY, TestModels.TINY.resolveSibling("real-head"))) {
            for (int chunk : new int[] {1, 7, 64}) {
                GriffinBuilder builder = Griffin.builder(ModelFiles.of(model)).device("cpu").threads(1).chunk(chunk);
                ModelInfo info = builder.info();
                try (Griffin griffin = builder.open()) {
                    assertEquals(griffin.config(), info.config());
                    assertEquals(griffin.device(), info.device());
                    assertEquals(griffin.deviceReason(), info.deviceReason());
                    assertEquals(griffin.weightBytes(), info.weightBytes());
                    assertEquals(griffin.stateBytes(), info.stateBytes());
                    assertEquals(griffin.workspaceBytes(), info.workspaceBytes(), model + " in chunks of " + chunk);
                    assertEquals(griffin.hasTokenizer(), info.hasTokenizer());
                    assertEquals(griffin.bosId(), info.bosId());
                    assertEquals(Arrays.stream(griffin.endIds()).boxed().toList(), info.endIds());
                }
            }
        }
    }

    /** A tensor of the wrong shape is refused by its header. */
    @Test
    void infoRefusesWhatOpeningRefuses(@TempDir Path folder) throws IOException {
        for (String file : List.of("config.json", "model.safetensors")) {
            Files.copy(TestModels.TINY.resolve(file), folder.resolve(file));
        }
        Path config = folder.resolve("config.json");
        Files.writeString(config, Files.readString(config).replaceFirst("\"vocab_size\": \\d+", "\"vocab_size\": 98"));
        GriffinBuilder builder = Griffin.builder(ModelFiles.of(folder)).device("cpu").threads(1);
        assertMessage(ModelFormatException.class, "model.embed_tokens.weight", builder::open);
        assertMessage(ModelFormatException.class, "model.embed_tokens.weight", builder::info);
    }

    @Test
    void aStreamThatIsClosedEarlyStopsGenerating() {
        try (Griffin griffin = TestModels.open(TestModels.STORIES, 64); Session session = griffin.newSession()) {
            GenerationOptions endless = GREEDY.withMaxTokens(1_000_000).withIgnoreEos(true);
            try (Stream<String> pieces = session.stream("Once upon a time", endless)) {
                assertEquals(3, pieces.limit(3).toList().size());
            }
            // The next call waits for the generation to end; if it did not, this test would hang.
            assertTrue(session.generate("", GREEDY.withMaxTokens(1), piece -> {}).ids().size() == 1);
        }
    }

    @Test
    void aStreamReportsWhatWentWrong() {
        try (Griffin griffin = TestModels.open(TestModels.TINY, 64);
                Session session = griffin.newSession();
                Stream<String> broken = session.stream("text", GREEDY)) {
            assertMessage(ModelFormatException.class, "tokenizer.json", broken::count);
        }
    }

    @Test
    void chatTurnsCostTheirOwnTokensOnly() {
        try (Griffin griffin = TestModels.open(TestModels.STORIES, 64); Session session = griffin.newSession()) {
            Generation first = session.chat("Who are you?", GREEDY.withMaxTokens(60), new GenerationListener() {});
            assertEquals("I am a small storyteller. Give me a word or two, and I will write a story about them.", first.text());
            assertEquals(FinishReason.END, first.finishReason());
            Generation second = session.chat("Write a story about a dog and a ball.", GREEDY, new GenerationListener() {});
            assertTrue(second.promptIds().size() < 30, "only the new turn is read: " + second.promptIds().size());
            int endOfTurn = griffin.tokenizer().id("<end_of_turn>").getAsInt();
            assertEquals(endOfTurn, second.promptIds().getFirst(), "the first reply is closed");
            assertTrue(second.text().startsWith("Once upon a time"), second.text());
        }
    }

    @Test
    void logProbabilitiesAreThoseOfTheModel() {
        try (Griffin griffin = TestModels.open(TestModels.STORIES, 64); Session session = griffin.newSession()) {
            SamplingParams params = SamplingParams.GREEDY.withLogProbabilities(5);
            Generation g = session.generate("Once upon a time", GREEDY.withSampling(params), piece -> {});
            assertEquals(24, g.logProbabilities().size());
            for (Generation.TokenLogProbability token : g.logProbabilities()) {
                assertEquals(5, token.alternatives().size());
                assertEquals(token.id(), token.alternatives().getFirst().id(), "greedy takes the most likely");
                assertEquals(token.logProbability(), token.alternatives().getFirst().logProbability());
                double sum = token.alternatives().stream().mapToDouble(a -> Math.exp(a.logProbability())).sum();
                assertTrue(sum > 0 && sum <= 1.0001, "probabilities of five tokens: " + sum);
            }
        }
    }

    @Test
    void aSeedFixesTheTextAndNoSeedDoesNot() {
        try (Griffin griffin = TestModels.open(TestModels.STORIES, 64)) {
            assertTrue(griffin.defaultSampling().temperature() == 0.8f && griffin.defaultSampling().topK() == 40,
                    "from generation_config.json");
            List<String> texts = Stream.of(7L, 7L, 8L).map(seed -> {
                try (Session session = griffin.newSession()) {
                    return session.generate("Once upon a time", GREEDY.withSampling(griffin.defaultSampling().withSeed(seed)), piece -> {})
                            .text();
                }
            }).toList();
            assertEquals(texts.get(0), texts.get(1));
            assertFalse(texts.get(0).equals(texts.get(2)));
            assertFalse(griffin.defaultSampling().seed() == griffin.defaultSampling().seed());
        }
    }

    @Test
    void badRequestsSayWhatIsPossible() {
        assertMessage(InvalidRequestException.class, "--device: there is no device 'gpu'",
                () -> Griffin.builder(ModelFiles.of(TestModels.TINY)).device("gpu").open());
        assertMessage(BackendUnavailableException.class, "not built yet",
                () -> Griffin.builder(ModelFiles.of(TestModels.TINY)).device("metal").open());
        assertMessage(InvalidRequestException.class, "chunk must be 1", () -> Griffin.builder(ModelFiles.of(TestModels.TINY)).chunk(0));
        assertMessage(InvalidRequestException.class, "temperature must be 0", () -> SamplingParams.GREEDY.withTemperature(-1));
        assertMessage(InvalidRequestException.class, "top-p must be", () -> SamplingParams.GREEDY.withTopP(Float.NaN));
        assertMessage(InvalidRequestException.class, "must not be empty", () -> GenerationOptions.DEFAULT.withStop(""));
        try (Griffin griffin = TestModels.open(TestModels.TINY, 8); Session session = griffin.newSession()) {
            GenerationListener silent = new GenerationListener() {};
            assertMessage(ModelFormatException.class, "tokenizer.json", () -> session.generate("text"));
            assertMessage(InvalidRequestException.class, "97 at index 1", () -> session.generate(new int[] {2, 97}, GREEDY, silent));
            assertMessage(InvalidRequestException.class, "nothing to continue", () -> session.generate(new int[0], GREEDY, silent));
            assertMessage(InvalidRequestException.class, "stop strings need",
                    () -> session.generate(new int[] {2}, GREEDY.withStop("a"), silent));
            assertEquals(0, session.length(), "a refused request leaves the session as it was");
        }
        assertMessage(ModelFormatException.class, "config.json", () -> Griffin.open(TestModels.TINY.getParent()));
    }

    private static void assertMessage(Class<? extends Throwable> type, String part, org.junit.jupiter.api.function.Executable call) {
        Throwable e = assertThrows(type, call);
        assertTrue(e.getMessage().contains(part), e.getMessage());
    }
}
