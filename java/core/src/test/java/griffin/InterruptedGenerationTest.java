package griffin;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.sampling.SamplingParams;
import griffin.session.Sequence;
import griffin.session.States;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A generation that is stopped for any reason at any token and continued, also from a snapshot, a file or a fork, gives the tokens and
 * the state, bit for bit, of one that was never stopped.
 */
class InterruptedGenerationTest {

    private static final SamplingParams SAMPLED = new SamplingParams(0.9f, 30, 0.95f, 0.01f, 1.1f, 42, -1);

    @TempDir
    private Path folder;

    @Test
    void stopsByEveryReasonAndResumes() {
        Set<Sequence.Finish> seen = EnumSet.noneOf(Sequence.Finish.class);
        for (int seed = 0; seed < 60; seed++) {
            for (int chunk : new int[] {1, 3, 64}) {
                try (Griffin griffin = TestModels.open(TestModels.TINY, chunk)) {
                    compare(griffin, new Random(seed), "seed " + seed + ", chunk " + chunk, seen);
                }
            }
        }
        assertEquals(EnumSet.allOf(Sequence.Finish.class), seen, "every reason occurred");
    }

    private void compare(Griffin griffin, Random random, String what, Set<Sequence.Finish> seen) {
        SamplingParams params = random.nextBoolean() ? SAMPLED : SamplingParams.GREEDY.withRepetitionPenalty(1.3f);
        int[] prompt = random.ints(1 + random.nextInt(20), 0, 97).toArray();
        int total = 30 + random.nextInt(20);
        Sequence whole = griffin.states().create();
        List<Integer> expected = new ArrayList<>();
        assertEquals(Sequence.Finish.LIMIT, whole.generate(prompt, params, total, new int[0], (id, result) -> expected.add(id), null));

        Sequence pieces = griffin.states().create();
        List<Integer> found = new ArrayList<>();
        int given = 0;
        while (found.size() < total) {
            int[] next = Arrays.copyOfRange(prompt, given, prompt.length);
            int before = pieces.length();
            Sequence.Finish finish = piece(pieces, next, params, random, total - found.size(), found);
            seen.add(finish);
            // The length says how much of the prompt was taken when reading was cancelled.
            given = Math.min(prompt.length,
                    given + Math.max(0, finish == Sequence.Finish.CANCELLED ? pieces.length() - before : next.length));
            assertEquals(given + found.size(), pieces.length(), what + ": the session has the reported tokens and no other");
            pieces = move(griffin, pieces, random);
        }
        assertEquals(expected, found, what);
        assertArrayEquals(griffin.states().snapshot(whole), griffin.states().snapshot(pieces), what + ": states");
        whole.close();
        pieces.close();
    }

    /** One piece of the generation, stopped in a random way. */
    private static Sequence.Finish piece(Sequence s, int[] prompt, SamplingParams params, Random random, int left, List<Integer> found) {
        int stopAfter = 1 + random.nextInt(6);
        int limit = Math.min(left, random.nextBoolean() ? 1 + random.nextInt(8) : left);
        int[] endIds = random.nextInt(3) == 0 ? random.ints(12, 0, 97).toArray() : new int[0];
        int promptStop = random.nextInt(3) == 0 ? 1 + random.nextInt(20) : Integer.MAX_VALUE;
        int[] count = {0};
        return s.generate(prompt, params, limit, endIds, (id, result) -> {
            found.add(id);
            return ++count[0] < stopAfter;
        }, (tokens, of) -> tokens < promptStop);
    }

    /** Continues with the sequence itself, or with its copy by one of three ways. */
    private Sequence move(Griffin griffin, Sequence s, Random random) {
        Sequence moved = switch (random.nextInt(4)) {
            case 0 -> griffin.states().restore(griffin.states().snapshot(s), "snapshot");
            case 1 -> {
                Path file = folder.resolve("state");
                States.write(griffin.states().snapshot(s), file);
                yield States.read(file, bytes -> griffin.states().restore(bytes, file.toString()));
            }
            case 2 -> s.fork();
            default -> s;
        };
        if (moved != s) {
            s.close();
        }
        return moved;
    }

    @Test
    void stopStringsAndCancelledTextResume() {
        try (Griffin griffin = TestModels.open(TestModels.STORIES, 64); Session whole = griffin.newSession()) {
            GenerationOptions options = GenerationOptions.DEFAULT.withSampling(SAMPLED).withIgnoreEos(true).withMaxTokens(120);
            Generation expected = whole.generate("Once upon a time", options, piece -> {});
            for (String stop : new String[] {".", "and", " the", "\n", "e"}) {
                try (Session pieces = griffin.newSession()) {
                    List<Integer> found = new ArrayList<>();
                    String prompt = "Once upon a time";
                    boolean stopped = false;
                    while (found.size() < 120) {
                        GenerationOptions part = options.withStop(stop).withMaxTokens(120 - found.size());
                        Generation g = pieces.generate(prompt, part, piece -> {});
                        stopped |= g.finishReason() == FinishReason.STOP;
                        assertTrue(!g.text().contains(stop), "the stop string is not part of the text");
                        found.addAll(g.ids());
                        prompt = "";
                    }
                    assertTrue(stopped, "'" + stop + "' occurs in the story");
                    assertEquals(expected.ids(), found, "stopped at every '" + stop + "'");
                    assertArrayEquals(whole.snapshot(), pieces.snapshot());
                }
            }
        }
    }

    @Test
    void cancelFromTheListenerKeepsWhatWasReported() {
        try (Griffin griffin = TestModels.open(TestModels.STORIES, 64); Session session = griffin.newSession()) {
            int[] tokens = {0};
            Generation g = session.generate("Once upon a time", GenerationOptions.DEFAULT, new GenerationListener() {
                @Override
                public void token(int id) {
                    if (++tokens[0] == 7) {
                        session.cancel();
                    }
                }
            });
            assertEquals(FinishReason.CANCELLED, g.finishReason());
            assertEquals(7, g.ids().size());
            assertEquals(g.promptIds().size() + 7, session.length());
        }
    }
}
