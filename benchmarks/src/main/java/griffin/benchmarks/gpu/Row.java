package griffin.benchmarks.gpu;

/**
 * One measured number.
 *
 * @param name    what was measured, the model's size first
 * @param value   the median of the runs
 * @param unit    of the value
 * @param bytes   that had to be moved for one item (a step, a load); NaN where bytes are not the limit
 * @param flops   operations done for one item; NaN where they are not the limit
 * @param share   achieved share of the ceiling; NaN where there is none
 * @param ceiling name of the ceiling; empty where there is none
 * @param bar     what must be reached, or null
 */
record Row(String name, double value, String unit, double bytes, double flops, double share, String ceiling, Bar bar) {

    /** A number without a ceiling. */
    static Row of(String name, double value, String unit, Bar bar) {
        return new Row(name, value, unit, Double.NaN, Double.NaN, Double.NaN, "", bar);
    }

    /** A number that bytes limit. */
    static Row ofBytes(String name, double value, String unit, double bytes, double share, String ceiling, Bar bar) {
        return new Row(name, value, unit, bytes, Double.NaN, share, ceiling, bar);
    }

    /** A number that operations limit. */
    static Row ofFlops(String name, double value, String unit, double flops, double share, String ceiling, Bar bar) {
        return new Row(name, value, unit, Double.NaN, flops, share, ceiling, bar);
    }

    /** What the bar judges: the share, or the value where there is no ceiling. */
    double judged() {
        return ceiling.isEmpty() ? value : share;
    }

    boolean passes() {
        return bar != null && bar.passes(judged());
    }

    boolean fails() {
        return bar != null && !bar.passes(judged());
    }
}
