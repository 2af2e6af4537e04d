package griffin.backend.host;

import griffin.backend.Rows;

/** A live row count of a {@link HostStep}. */
public final class HostRows implements Rows {

    private final HostStep step;
    private final boolean outputs;
    private final int from;
    private final int limit;

    HostRows(HostStep step, boolean outputs, int from, int limit) {
        this.step = step;
        this.outputs = outputs;
        this.from = from;
        this.limit = limit;
    }

    /** How many rows there are now. */
    public int count() {
        int all = outputs ? step.outputCount : step.rowCount;
        return Math.clamp(all - from, 0, limit);
    }

    @Override
    public Rows slice(int first, int most) {
        return new HostRows(step, outputs, from + first, Math.min(most, limit - first));
    }

    /** The host rows behind an operation's argument. */
    public static HostRows of(Rows rows) {
        return (HostRows) rows;
    }
}
