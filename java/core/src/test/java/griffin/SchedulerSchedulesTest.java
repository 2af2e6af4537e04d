package griffin;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Thousands of random schedules; each result and each state is that of a run alone. */
@ExtendWith(Seed.class)
class SchedulerSchedulesTest {

    private static final int SCHEDULES = 3000;

    @Test
    void everySequenceIsAsIfItWereAlone(@TempDir Path folder) throws InterruptedException {
        ByteModel.write(folder);
        Random random = Seed.random("schedules");
        Map<String, Integer> seen = RandomSchedule.counters();
        try (Griffin griffin = ByteModel.open(folder)) {
            for (int i = 0; i < SCHEDULES; i++) {
                new RandomSchedule(griffin, random, seen).run();
            }
            assertEquals(griffin.sessions(), griffin.pool().free(), "every slot is free again");
        }
        System.out.println(SCHEDULES + " schedules: " + seen);
        for (String event : Set.of("end", "length", "stop", "cancelled", "resumed", "cache hit", "prompts read beside generations",
                "generations side by side", "cancelled before reading",
                "cancelled while reading", "cancelled while generating")) {
            assertTrue(seen.getOrDefault(event, 0) > SCHEDULES / 100, event + ": " + seen);
        }
    }
}
