package griffin.benchmarks;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * How long a person waits: from starting {@code ./griffin-run} to the first character of its text, the launcher's own time included.
 * Options for its JVM come from GRIFFIN_JAVA_OPTS, as ever.
 */
final class ColdStart {

    private static final Path LAUNCHER = Path.of("griffin-run");

    private ColdStart() {}

    private record Start(double millis, byte[] text) {}

    /**
     * Prints each time and the median, in milliseconds. One start before them, without GRIFFIN_JAVA_OPTS, builds the command if need be and
     * says what the text is: the JVM writes its own warnings to standard output, and they are no first character.
     */
    static void run(Options o) {
        if (!Files.isExecutable(LAUNCHER)) {
            throw new IllegalArgumentException("coldstart needs ./griffin-run: start it in the repository's root");
        }
        List<String> command = new ArrayList<>(List.of(LAUNCHER.toAbsolutePath().toString(), "--device", "cpu", "--temperature", "0"));
        command.addAll(List.of("--max-tokens", "8"));
        if (o.model == null) {
            command.add("Once upon a time");
        } else {
            command.addAll(List.of("--model", o.model.toString(), "--ids", "2,5,7"));
        }
        byte[] text = start(command, false).text;
        double[] millis = new double[o.runs];
        for (int i = 0; i < o.runs; i++) {
            Start start = start(command, true);
            if (!Arrays.equals(text, start.text)) {
                throw new IllegalStateException("another text with these GRIFFIN_JAVA_OPTS: " + new String(start.text, UTF_8));
            }
            millis[i] = start.millis;
            Results.line("start to first character, run " + (i + 1), millis[i], "ms");
        }
        Results.line("start to first character, median", Team.median(millis), "ms");
    }

    private static Start start(List<String> command, boolean withOptions) {
        ProcessBuilder builder = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD);
        if (!withOptions) {
            builder.environment().remove("GRIFFIN_JAVA_OPTS");
        }
        long start = System.nanoTime();
        try {
            Process process = builder.start();
            try (InputStream out = process.getInputStream()) {
                ByteArrayOutputStream text = new ByteArrayOutputStream();
                text.write(out.readNBytes(1));
                double millis = (System.nanoTime() - start) / 1e6;
                out.transferTo(text);
                int exit = process.waitFor();
                if (exit != 0) {
                    throw new IllegalStateException(String.join(" ", command) + " ended with " + exit + ": " + text.toString(UTF_8));
                }
                return new Start(millis, text.toByteArray());
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            throw new IllegalStateException("interrupted", e);
        }
    }
}
