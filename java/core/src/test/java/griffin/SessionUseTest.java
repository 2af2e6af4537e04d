package griffin;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.error.ModelFormatException;
import griffin.error.StateFormatException;
import griffin.sampling.SamplingParams;
import griffin.weights.ModelFiles;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** What is refused: sessions after their end, and calls from within the model's own callbacks. And what streams leave free. */
class SessionUseTest {

    private static final GenerationOptions GREEDY = GenerationOptions.DEFAULT.withSampling(SamplingParams.GREEDY).withMaxTokens(12);
    private static final GenerationListener SILENT = new GenerationListener() {};
    private static final int[] IDS = {2, 9, 31};

    private static void assertState(String part, Executable call) {
        IllegalStateException e = assertThrows(IllegalStateException.class, call);
        assertTrue(e.getMessage().contains(part), e.getMessage());
    }

    /** Its slot may belong to someone else by now. */
    @Test
    void aClosedSessionIsRefused(@TempDir Path folder) {
        try (Griffin griffin = TestModels.open(TestModels.TINY, 8)) {
            Session closed = griffin.newSession();
            closed.generate(IDS, GREEDY, SILENT);
            closed.close();
            try (Session next = griffin.newSession()) {
                next.generate(IDS, GREEDY, SILENT);
                byte[] before = next.snapshot();
                assertState("has been closed", () -> closed.generate(IDS, GREEDY, SILENT));
                assertState("has been closed", () -> closed.score(IDS, (index, logits) -> {}));
                assertState("has been closed", closed::fork);
                assertState("has been closed", closed::snapshot);
                assertState("has been closed", () -> closed.save(folder.resolve("state")));
                assertArrayEquals(before, next.snapshot());
            }
        }
    }

    @Test
    void aListenerCannotRunTheModelThatCallsIt() {
        try (Griffin griffin = TestModels.open(TestModels.TINY, 2); Session outer = griffin.newSession();
                Session inner = griffin.newSession(); Session plain = griffin.newSession()) {
            Generation expected = plain.generate(IDS, GREEDY, SILENT);
            int[] calls = {0};
            Generation found = outer.generate(IDS, GREEDY, new GenerationListener() {
                @Override
                public void promptRead(int tokens, int of) {
                    attempt();
                }

                @Override
                public void token(int id) {
                    attempt();
                }

                private void attempt() {
                    calls[0]++;
                    refused(griffin, outer, inner);
                }
            });
            assertEquals(expected.ids(), found.ids());
            assertTrue(calls[0] > 13, "both kinds of calls came");
            inner.score(IDS, (index, logits) -> refused(griffin, inner, outer));
            assertEquals(IDS.length, inner.length());
        }
    }

    private static void refused(Griffin griffin, Session running, Session other) {
        assertState("a listener cannot", () -> other.generate(IDS, GREEDY, SILENT));
        assertState("a listener cannot", () -> other.score(IDS, (index, logits) -> {}));
        assertState("a listener cannot", () -> running.generate(IDS, GREEDY, SILENT));
        assertState("a listener cannot", griffin::close);
        assertState("cannot be closed by a listener", running::close);
    }

    /** What a listener forks or saves at any token goes on to the same tokens. */
    @Test
    void aListenerCanForkAndSave() {
        try (Griffin griffin = TestModels.open(TestModels.TINY, 8); Session session = griffin.newSession()) {
            List<byte[]> snapshots = new ArrayList<>();
            List<Integer> ids = session.generate(IDS, GREEDY, new GenerationListener() {
                @Override
                public void promptRead(int tokens, int of) {
                    if (tokens == of) {
                        keep();
                    }
                }

                @Override
                public void token(int id) {
                    keep();
                }

                private void keep() {
                    try (Session fork = session.fork()) {
                        snapshots.add(session.snapshot());
                        assertArrayEquals(snapshots.getLast(), fork.snapshot());
                    }
                }
            }).ids();
            assertEquals(13, snapshots.size());
            for (int i = 0; i < 12; i++) {
                try (Session resumed = griffin.restore(snapshots.get(i))) {
                    assertEquals(ids.subList(i, 12), resumed.generate(new int[0], GREEDY.withMaxTokens(12 - i), SILENT).ids());
                }
            }
        }
    }

    @Test
    void aStreamLeftUnreadHoldsNothing() {
        try (Griffin griffin = TestModels.open(TestModels.STORIES, 64); Session session = griffin.newSession()) {
            GenerationOptions endless = GREEDY.withMaxTokens(1_000_000).withIgnoreEos(true);
            Stream<String> left = session.stream("Once upon a time", endless);
            assertTrue(left.findFirst().isPresent());
            assertTimeoutPreemptively(Duration.ofSeconds(20), () -> griffin.newSession().close());
        }
    }

    /** Between two pieces: snapshots of this session and generations of another, which change nothing. */
    @Test
    void aStreamSharesTheModelBetweenPieces() {
        try (Griffin griffin = TestModels.open(TestModels.STORIES, 64); Session plain = griffin.newSession();
                Session session = griffin.newSession(); Session other = griffin.newSession()) {
            String expected = plain.generate("Once upon a time", GREEDY, piece -> {}).text();
            StringBuilder found = new StringBuilder();
            other.generate("A dog", GREEDY.withMaxTokens(0), piece -> {});
            assertTimeoutPreemptively(Duration.ofSeconds(60), () -> session.stream("Once upon a time", GREEDY).forEach(piece -> {
                found.append(piece);
                assertTrue(session.snapshot().length > 0);
                other.generate("", GREEDY.withMaxTokens(1), text -> {});
            }));
            assertEquals(expected, found.toString());
            assertArrayEquals(plain.snapshot(), session.snapshot());
        }
    }

    @Test
    void aStreamEndsWithItsSession() {
        try (Griffin griffin = TestModels.open(TestModels.STORIES, 64); Session session = griffin.newSession()) {
            Iterator<String> overtaken = session.stream("Once upon a time", GREEDY).iterator();
            overtaken.next();
            session.generate(" a dog", GREEDY, piece -> {});
            assertState("gone on otherwise", overtaken::next);
            Iterator<String> cancelled = session.stream("", GREEDY.withMaxTokens(50).withIgnoreEos(true)).iterator();
            cancelled.next();
            int length = session.length();
            session.cancel();
            cancelled.forEachRemaining(piece -> {});
            assertTrue(session.length() <= length + 1, "a step at most follows a cancel");
            Session brief = session.fork();
            Iterator<String> closed = brief.stream("", GREEDY.withIgnoreEos(true)).iterator();
            closed.next();
            brief.close();
            assertState("has been closed", closed::next);
        }
    }

    /** A file is read without the model, so also while a generation is under way. */
    @Test
    void aMissingFileIsReportedDuringAGeneration(@TempDir Path folder) {
        try (Griffin griffin = TestModels.open(TestModels.TINY, 8); Session session = griffin.newSession()) {
            session.generate(IDS, GREEDY.withMaxTokens(1), new GenerationListener() {
                @Override
                public void token(int id) {
                    CompletableFuture<Throwable> other = CompletableFuture.supplyAsync(
                            () -> assertThrows(StateFormatException.class, () -> griffin.load(folder.resolve("absent"))));
                    assertTimeoutPreemptively(Duration.ofSeconds(20), () -> other.get());
                }
            });
        }
    }

    /** A token of an earlier generation is reported again with nothing known of its alternatives. */
    @Test
    void aResumedEndIdHasNoAlternatives() {
        try (Griffin griffin = TestModels.open(TestModels.STORIES, 64); Session session = griffin.newSession()) {
            GenerationOptions options = GREEDY.withMaxTokens(60).withSampling(SamplingParams.GREEDY.withLogProbabilities(3));
            assertEquals(FinishReason.END, session.chat("Who are you?", options, SILENT).finishReason());
            Generation more = session.generate("", options.withMaxTokens(2).withIgnoreEos(true), piece -> {});
            assertTrue(Float.isNaN(more.logProbabilities().getFirst().logProbability()));
            assertEquals(List.of(), more.logProbabilities().getFirst().alternatives());
            assertEquals(3, more.logProbabilities().getLast().alternatives().size());
        }
    }

    @Test
    void aWeightFileCutShortIsExplained(@TempDir Path folder) throws IOException {
        for (String file : List.of("config.json", "model.safetensors")) {
            Files.copy(TestModels.TINY.resolve(file), folder.resolve(file));
        }
        try (Griffin griffin = Griffin.builder(ModelFiles.of(folder)).device("cpu").open(); Session session = griffin.newSession()) {
            try (FileChannel file = FileChannel.open(folder.resolve("model.safetensors"), StandardOpenOption.WRITE)) {
                file.truncate(0);
            }
            ModelFormatException e = assertThrows(ModelFormatException.class, () -> session.generate(IDS, GREEDY, SILENT));
            assertTrue(e.getMessage().contains("cut short") && e.getMessage().contains(folder.toString()), e.getMessage());
            assertState("a step of this session failed", session::snapshot);
            assertTrue(session.broken());
        }
    }
}
