package griffin.benchmarks;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The benchmarks' command line, and the median of what they measure. */
class OptionsTest {

    /** What is wrong is named, before anything is measured. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {"--runs must be a whole number, not x | --runs x", "--runs must be at least 1, not 0 | --runs 0",
        "--tokens needs a value | --tokens", "there is no | --model /nope", "unknown option --zzz | --zzz"})
    void wrongOptionsAreNamed(String message, String line) {
        Exception e = assertThrows(IllegalArgumentException.class, () -> Options.parse(line.split(" "), 0));
        assertTrue(e.getMessage().contains(message), e.getMessage());
    }

    @Test
    void optionsAreTaken() {
        Options options = Options.parse(new String[] {"decode", "--runs", "7", "--model", "../" + Soak.STORIES, "--no-c"}, 1);
        assertEquals(7, options.runs);
        assertEquals(Path.of("..", Soak.STORIES), options.model);
        assertTrue(!options.twin);
    }

    @Test
    void medianOfAnEvenNumberIsTheMeanOfTheMiddle() {
        double[] values = {4, 1, 3, 2};
        assertEquals(2.5, Team.median(values));
        assertArrayEquals(new double[] {4, 1, 3, 2}, values, "the order of the runs is kept");
        assertEquals(3, Team.median(new double[] {9, 3, 1}));
    }
}
