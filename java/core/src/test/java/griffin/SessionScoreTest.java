package griffin;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import griffin.error.InvalidRequestException;
import griffin.sampling.SamplingParams;
import griffin.weights.ModelFiles;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** {@link Session#score}: a row per given id, wherever the session stands. */
class SessionScoreTest {

    private static final GenerationOptions FOUR = new GenerationOptions(SamplingParams.GREEDY, 4, List.of(), true);
    private static final int[] FIRST = {2, 9, 31};
    private static final int[] MORE = {5, 44, 7, 18, 80};

    private final Griffin griffin =
            Griffin.builder(ModelFiles.of(Path.of("src/test/resources/golden/tiny-a"))).device("cpu").chunk(3).open();

    @AfterEach
    void close() {
        griffin.close();
    }

    private static List<float[]> score(Session session, int... ids) {
        List<float[]> rows = new ArrayList<>();
        session.score(ids, (index, logits) -> {
            assertEquals(rows.size(), index);
            rows.add(logits.clone());
        });
        return rows;
    }

    @Test
    void tokenLeftByAGenerationIsReadButHasNoRow() {
        try (Session one = griffin.newSession(); Session other = griffin.newSession()) {
            List<Integer> said = one.generate(FIRST, FOUR, new GenerationListener() {}).ids();
            List<float[]> rows = score(one, MORE);
            assertEquals(FIRST.length + 4 + MORE.length, one.length());
            assertEquals(MORE.length, rows.size());

            score(other, FIRST);
            score(other, said.stream().mapToInt(i -> i).toArray());
            List<float[]> expected = score(other, MORE);
            for (int i = 0; i < MORE.length; i++) {
                assertArrayEquals(expected.get(i), rows.get(i), 5e-4f);
            }
        }
    }

    @Test
    void scoredSessionGoesOnWithATokenMore() {
        try (Session one = griffin.newSession(); Session other = griffin.newSession()) {
            score(one, FIRST);
            assertThrows(InvalidRequestException.class, () -> one.generate(new int[0], FOUR, new GenerationListener() {}));
            assertThrows(InvalidRequestException.class, () -> score(one));
            assertThrows(InvalidRequestException.class, () -> score(one, 97));
            List<Integer> whole = other.generate(new int[] {2, 9, 31, 5}, FOUR, new GenerationListener() {}).ids();
            assertEquals(whole, one.generate(new int[] {5}, FOUR, new GenerationListener() {}).ids());
        }
    }
}
