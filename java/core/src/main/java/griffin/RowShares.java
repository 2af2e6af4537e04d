package griffin;

/** How the prompt rows of a step are shared among the prompts that are being read. */
final class RowShares {

    private RowShares() {}

    /**
     * First come first, but nobody waits for the end of a long prompt: where not all fits, the first may have half, the others share the
     * rest equally (what one does not need goes to those that do), and what is left over then is the first's again. Every prompt
     * gets a row, as long as there are as many rows as prompts.
     *
     * @param wanted rows that each prompt could take, at least 1, in the order of arrival; replaced by what each gets
     * @param count  prompts
     * @param budget rows of the step for prompts
     */
    static void share(int[] wanted, int count, int budget) {
        long sum = 0;
        for (int i = 0; i < count; i++) {
            sum += wanted[i];
        }
        if (sum <= budget || count == 0) {
            return;
        }
        int others = Math.min(budget - 1, Math.max(budget / 2, count - 1));
        int needed = (int) Math.min(Integer.MAX_VALUE, sum - wanted[0]);
        others = Math.max(Math.min(others, needed), budget - wanted[0]);
        wanted[0] = Math.min(wanted[0], budget - others);
        level(wanted, count, others);
    }

    /** Gives prompts 1, 2 and so on {@code rows} rows together, which is less than they want: no two differ unless one wants less. */
    private static void level(int[] wanted, int count, int rows) {
        int low = 0;
        int high = rows;
        while (low < high) { // the highest level at which all fits
            int level = low + (high - low + 1) / 2;
            if (atLevel(wanted, count, level) <= rows) {
                low = level;
            } else {
                high = level - 1;
            }
        }
        int left = rows - (int) atLevel(wanted, count, low);
        for (int i = 1; i < count; i++) {
            if (wanted[i] > low) {
                wanted[i] = low + (left-- > 0 ? 1 : 0);
            }
        }
    }

    private static long atLevel(int[] wanted, int count, int level) {
        long sum = 0;
        for (int i = 1; i < count; i++) {
            sum += Math.min(wanted[i], level);
        }
        return sum;
    }
}
