package griffin.benchmarks.gpu;

/**
 * What a row must reach and what is aimed for, in the unit of its share, or of its value where it has no share.
 *
 * @param least      the bar
 * @param aim        what is aimed for; NaN where nothing beyond the bar is
 * @param upperBound whether less is better, so that the bar is the most allowed
 */
record Bar(double least, double aim, boolean upperBound) {

    static Bar atLeast(double least, double aim) {
        return new Bar(least, aim, false);
    }

    static Bar atMost(double most, double aim) {
        return new Bar(most, aim, true);
    }

    /** Whether a measured number passes; NaN never does. */
    boolean passes(double measured) {
        return upperBound ? measured <= least : measured >= least;
    }
}
