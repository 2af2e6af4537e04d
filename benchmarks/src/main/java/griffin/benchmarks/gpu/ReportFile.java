package griffin.benchmarks.gpu;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** All that a report says, as {@code report.json} and as a table. Written again after every part, so that a report cut short has its start. */
final class ReportFile {

    static final String NAME = "report.json";

    private final Path file;
    private final String card;
    private final String driver;
    private final Map<String, Double> ceilings = new LinkedHashMap<>();
    private final List<Row> rows = new ArrayList<>();
    private final List<String> notes = new ArrayList<>();

    /** @param folder made if it is not there */
    ReportFile(Path folder, String card, String driver) {
        this.card = card;
        this.driver = driver;
        file = folder.resolve(NAME);
        try {
            Files.createDirectories(folder);
        } catch (IOException e) {
            throw new UncheckedIOException("--out " + folder + " cannot be made: " + e, e);
        }
    }

    /** Bytes or operations a second. */
    void ceiling(String name, double perSecond) {
        ceilings.put(name, perSecond);
    }

    void add(Row row) {
        rows.add(row);
        System.out.println(line(row));
    }

    /** A row that could not be measured says so here. */
    void note(String text) {
        notes.add(text);
        System.out.println("# " + text.replace('\n', ' '));
    }

    List<Row> rows() {
        return rows;
    }

    void write() {
        try {
            Files.writeString(file, json());
        } catch (IOException e) {
            throw new UncheckedIOException(file + " cannot be written: " + e, e);
        }
    }

    String json() {
        StringBuilder out = new StringBuilder("{\n  \"card\": ").append(text(card)).append(",\n  \"driver\": ").append(text(driver));
        out.append(",\n  \"ceilings\": {");
        String comma = "";
        for (Map.Entry<String, Double> ceiling : ceilings.entrySet()) {
            out.append(comma).append("\n    ").append(text(ceiling.getKey())).append(": ").append(number(ceiling.getValue()));
            comma = ",";
        }
        out.append("\n  },\n  \"rows\": [");
        comma = "";
        for (Row row : rows) {
            out.append(comma).append("\n    ").append(json(row));
            comma = ",";
        }
        out.append("\n  ],\n  \"notes\": [");
        comma = "";
        for (String note : notes) {
            out.append(comma).append("\n    ").append(text(note));
            comma = ",";
        }
        return out.append("\n  ]\n}\n").toString();
    }

    private static String json(Row r) {
        Bar bar = r.bar();
        return "{\"name\": " + text(r.name()) + ", \"value\": " + number(r.value()) + ", \"unit\": " + text(r.unit()) + ", \"bytes\": "
                + number(r.bytes()) + ", \"flops\": " + number(r.flops()) + ", \"share\": " + number(r.share()) + ", \"of\": "
                + (r.ceiling().isEmpty() ? "null" : text(r.ceiling())) + ", \"bar\": " + (bar == null ? "null" : number(bar.least()))
                + ", \"aim\": " + (bar == null ? "null" : number(bar.aim())) + ", \"pass\": " + (bar == null ? "null" : r.passes()) + "}";
    }

    /** JSON knows no NaN: what is not there is null. */
    private static String number(double v) {
        return Double.isFinite(v) ? Double.toString(v) : "null";
    }

    static String text(String s) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : s.toCharArray()) {
            switch (c) {
                case '"' -> out.append("\\\"");
                case '\\' -> out.append("\\\\");
                default -> out.append(c < ' ' ? String.format("\\u%04x", (int) c) : String.valueOf(c));
            }
        }
        return out.append('"').toString();
    }

    /** The whole table, ceilings first. */
    String table() {
        StringBuilder out = new StringBuilder(card + ", driver " + driver + "\n");
        ceilings.forEach((name, perSecond) -> out.append(String.format(Locale.ROOT, "%-48s %10.1f %s%n", "ceiling: " + name,
                perSecond / (name.equals(Report.MATRIX) ? 1e12 : 1e9), name.equals(Report.MATRIX) ? "TFLOP/s" : "GB/s")));
        out.append(String.format("%-48s %10s %-8s %-22s %6s %6s%n", "name", "value", "unit", "share", "bar", "pass"));
        rows.forEach(row -> out.append(line(row)).append('\n'));
        notes.forEach(note -> out.append("# ").append(note.replace('\n', ' ')).append('\n'));
        return out.toString();
    }

    static String line(Row r) {
        String share = r.ceiling().isEmpty() ? "" : String.format(Locale.ROOT, "%.3f of %s", r.share(), r.ceiling());
        String bar = r.bar() == null ? "" : BigDecimal.valueOf(r.bar().least()).stripTrailingZeros().toPlainString();
        String pass = r.bar() == null ? "" : r.passes() ? "yes" : "NO";
        return String.format(Locale.ROOT, "%-48s %10.2f %-8s %-22s %6s %6s", r.name(), r.value(), r.unit(), share, bar, pass)
                .stripTrailing();
    }
}
