package griffin;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

/** Who has rows in which step: asserted on what steps are made of, not on time. */
class SchedulerFairnessTest extends SchedulerTestCase {

    private static final int BATCH = 8;

    /** A step: whose rows, how many each, and how many of the first decode. */
    private record Step(List<int[]> prompts, int[] rows, int decoding) {
        int rowsOf(int[] prompt) {
            for (int i = 0; i < rows.length; i++) {
                if (prompts.get(i) == prompt) {
                    return rows[i];
                }
            }
            return 0;
        }

        boolean decodes(int[] prompt) {
            return prompts.indexOf(prompt) >= 0 && prompts.indexOf(prompt) < decoding;
        }
    }

    private final List<Step> steps = new ArrayList<>();

    private static int[] prompt(int length, int first) {
        int[] ids = new int[length];
        Arrays.setAll(ids, i -> (first + 7 * i) % 200);
        return ids;
    }

    private static Step step(List<Request> requests, int[] rows, int decoding) {
        return new Step(requests.stream().map(request -> request.promptIds).toList(), rows, decoding);
    }

    /** The second job is submitted by the first one's steps, so what comes when is fixed. */
    private void run(int at, Job first, Job... later) throws InterruptedException {
        AtomicReference<Scheduler> scheduler = new AtomicReference<>();
        List<Completion> all = new ArrayList<>();
        try (Scheduler s = scheduler().parallel(4).batch(BATCH).listener((requests, rows, decoding) -> {
            steps.add(step(requests, rows, decoding));
            if (steps.size() == at) {
                for (Job job : later) {
                    all.add(scheduler.get().submit(job));
                }
            }
        }).start()) {
            scheduler.set(s);
            s.submit(first).result();
            for (Completion completion : all) {
                completion.result();
            }
        }
    }

    @Test
    void aLongPromptHoldsUpNobodyForMoreThanAStep() throws InterruptedException {
        int[] short1 = prompt(3, 1);
        int[] long1 = prompt(400, 2);
        run(5, Job.of(short1, GREEDY.withMaxTokens(120)), Job.of(long1, GREEDY.withMaxTokens(3)));
        int reading = 0;
        for (Step step : steps) {
            int promptRows = Arrays.stream(step.rows()).skip(step.decoding()).sum();
            assertTrue(promptRows <= BATCH, "at most a batch of prompt rows: " + promptRows);
            if (step.rowsOf(long1) > 0 && !step.decodes(long1)) {
                reading++;
                assertTrue(step.decodes(short1) || steps.indexOf(step) >= 120, "a row for who generates, in every step of the reading");
            }
        }
        assertEquals(400 / BATCH, reading, "read in whole batches");
    }

    @Test
    void aShortPromptDoesNotWaitForTheEndOfALongOne() throws InterruptedException {
        int[] long1 = prompt(800, 2);
        int[] long2 = prompt(800, 3);
        int[] short1 = prompt(12, 4);
        run(3, Job.of(long1, GREEDY.withMaxTokens(1)), Job.of(long2, GREEDY.withMaxTokens(1)), Job.of(short1, GREEDY.withMaxTokens(1)));
        int first = -1;
        int last = -1;
        for (int i = 0; i < steps.size(); i++) {
            if (steps.get(i).rowsOf(short1) > 0) {
                first = first < 0 ? i : first;
                last = i;
            }
        }
        assertEquals(3, first, "in the step after it came");
        // A quarter of the rows are its: half are the first prompt's, and two others share the rest.
        assertEquals(first + 12 / (BATCH / 4) - 1, last);
        assertTrue(steps.get(last).rowsOf(long1) >= BATCH / 2 && steps.get(last).rowsOf(long2) > 0, "the long ones go on meanwhile");
    }

    @Test
    void decodingStepsHaveARowEach() throws InterruptedException {
        int[] a = prompt(2, 1);
        int[] b = prompt(2, 2);
        run(1, Job.of(a, GREEDY.withMaxTokens(40)), Job.of(b, GREEDY.withMaxTokens(20)));
        List<Step> both = steps.stream().filter(step -> step.decodes(a) && step.decodes(b)).toList();
        assertEquals(19, both.size());
        assertTrue(both.stream().allMatch(step -> Arrays.equals(new int[] {1, 1}, step.rows())));
    }
}
