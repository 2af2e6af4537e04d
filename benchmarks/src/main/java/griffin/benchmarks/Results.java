package griffin.benchmarks;

import java.util.Locale;

/** The one format of results: name, value, unit, share of a ceiling measured in the same run. */
final class Results {

    private Results() {}

    static void header() {
        System.out.printf("%-44s %12s  %-10s %s%n", "name", "value", "unit", "share");
    }

    static void line(String name, double value, String unit) {
        System.out.printf(Locale.ROOT, "%-44s %12s  %-10s%n", name, number(value), unit);
    }

    /** @param ceiling in the value's unit; {@code of} names it */
    static void line(String name, double value, String unit, double ceiling, String of) {
        System.out.printf(Locale.ROOT, "%-44s %12s  %-10s %.3f of %s %s%n", name, number(value), unit, value / ceiling, of,
                number(ceiling));
    }

    static void note(String text) {
        System.out.println("# " + text);
    }

    private static String number(double v) {
        return String.format(Locale.ROOT, Math.abs(v) >= 100 ? "%.1f" : "%.3f", v);
    }
}
