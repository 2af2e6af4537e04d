package griffin.backend.host;

import griffin.backend.StepResult;

/** The end, limit and cancel rules: see {@link griffin.backend.Backend#advance}. */
final class HostAdvance {

    private HostAdvance() {}

    static void advance(HostStep s) {
        // Each sequence becomes one row. Row q is at or before the sequence's old last row, so going upwards overwrites nothing
        // that is still to be read.
        for (int q = 0; q < s.sequenceCount; q++) {
            int position = s.positions[s.rowStarts[q + 1] - 1] + 1;
            int token = s.result.ids[q];
            if (s.sampledOutputs[q] < 0) {
                s.result.status[q] = StepResult.PARKED;
            } else {
                s.result.status[q] = status(s, q, token);
            }
            boolean runs = s.result.status[q] == StepResult.RUNNING;
            s.tokens[q] = runs ? token : 0;
            s.positions[q] = runs ? position : 0;
            s.slots[q] = runs ? s.slots[q] : s.scrapSlot;
            s.sampledOutputs[q] = runs ? q : -1;
            s.remaining[q]--;
        }
        for (int q = 0; q < s.sequenceCount; q++) {
            s.rowStarts[q] = q;
            s.rowSequence[q] = q;
            s.outputRows[q] = q;
        }
        s.rowStarts[s.sequenceCount] = s.sequenceCount;
        s.rowCount = s.outputCount = s.sequenceCount;
    }

    private static int status(HostStep s, int q, int token) {
        if (token == StepResult.NOT_FINITE) {
            return StepResult.FAILED;
        }
        for (int end : s.endIds[q]) {
            if (token == end) {
                return StepResult.ENDED;
            }
        }
        if (s.cancelled[q]) {
            return StepResult.CANCELLED;
        }
        return s.remaining[q] <= 1 ? StepResult.LIMIT : StepResult.RUNNING;
    }
}
