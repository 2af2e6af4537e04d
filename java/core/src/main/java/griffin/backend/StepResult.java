package griffin.backend;

import java.util.Arrays;

/** What {@link Backend#sample} chose in one run, per sequence of the step; reused between runs. */
public final class StepResult {

    /** Most alternatives that can be asked for with a log-probability. */
    public static final int MAX_ALTERNATIVES = 20;

    /** Why a row goes on or has ended, as device data. */
    public static final int RUNNING = 0, ENDED = 1, LIMIT = 2, CANCELLED = 3, PARKED = 4, FAILED = 5;

    /** Instead of a token's id: the logits were such that no token can be chosen ({@link Backend#sample} says which). */
    public static final int NOT_FINITE = -2;

    /** The sampled token [S], -1 where nothing was sampled, or {@link #NOT_FINITE}. */
    public final int[] ids;
    /** Its natural log-probability [S] under the unmodified distribution, NaN where it was not asked for. */
    public final float[] logProbabilities;
    /** The most likely tokens [S, MAX_ALTERNATIVES], most likely first. */
    public final int[] alternativeIds;
    /** Their log-probabilities [S, MAX_ALTERNATIVES]. */
    public final float[] alternativeLogProbabilities;
    /** RUNNING, ENDED (an end id was sampled), LIMIT, CANCELLED, PARKED or FAILED (the logits were not finite) [S]. */
    public final int[] status;

    public StepResult(int sequences) {
        ids = new int[sequences];
        logProbabilities = new float[sequences];
        alternativeIds = new int[sequences * MAX_ALTERNATIVES];
        alternativeLogProbabilities = new float[sequences * MAX_ALTERNATIVES];
        status = new int[sequences];
    }

    /** Reports that no token could be chosen for sequence {@code s}: no log-probability, no alternatives. */
    public void setNotFinite(int s) {
        ids[s] = NOT_FINITE;
        logProbabilities[s] = Float.NaN;
        Arrays.fill(alternativeIds, s * MAX_ALTERNATIVES, (s + 1) * MAX_ALTERNATIVES, -1);
        Arrays.fill(alternativeLogProbabilities, s * MAX_ALTERNATIVES, (s + 1) * MAX_ALTERNATIVES, Float.NEGATIVE_INFINITY);
    }

    /** Copies all of {@code other}, which has as many sequences. */
    public void copyFrom(StepResult other) {
        int n = ids.length;
        System.arraycopy(other.ids, 0, ids, 0, n);
        System.arraycopy(other.logProbabilities, 0, logProbabilities, 0, n);
        System.arraycopy(other.alternativeIds, 0, alternativeIds, 0, n * MAX_ALTERNATIVES);
        System.arraycopy(other.alternativeLogProbabilities, 0, alternativeLogProbabilities, 0, n * MAX_ALTERNATIVES);
        System.arraycopy(other.status, 0, status, 0, n);
    }
}
