package griffin;

import griffin.sampling.SamplingParams;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Tests of a scheduler over one model that stays open for all of a class, and what they submit. */
@Timeout(120)
abstract class SchedulerTestCase {

    static final GenerationListener SILENT = new GenerationListener() {};
    static final GenerationOptions GREEDY = GenerationOptions.DEFAULT.withSampling(SamplingParams.GREEDY).withIgnoreEos(true);
    static final int[] IDS = {2, 9, 31};

    @TempDir
    static Path folder;
    static Griffin griffin;

    @BeforeAll
    static void open() {
        ByteModel.write(folder);
        griffin = ByteModel.open(folder);
    }

    @AfterAll
    static void close() {
        griffin.close();
    }

    static Scheduler.Builder scheduler() {
        return Scheduler.builder(griffin);
    }
}
