package griffin.benchmarks;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** The same ceilings in C, compiled where there is a compiler; measured in turns with Java's they say whether those are the machine's. */
final class CTwin implements AutoCloseable {

    private final Path folder;
    private final Process process;

    private CTwin(Path folder, Process process) {
        this.folder = folder;
        this.process = process;
    }

    /** Empty, with a printed reason, where no C compiler works. */
    static Optional<CTwin> start(int threads) {
        try {
            Path folder = Files.createTempDirectory("griffin-ceilings");
            Path source = folder.resolve("ceilings.c");
            Path program = folder.resolve("ceilings");
            try (InputStream in = CTwin.class.getResourceAsStream("ceilings.c")) {
                Files.copy(in, source);
            }
            if (!compile(source, program)) {
                Results.note("no C compiler (cc or gcc) on the path: the C ceilings are left out");
                delete(folder);
                return Optional.empty();
            }
            ProcessBuilder command = new ProcessBuilder(program.toString(), Integer.toString(threads), "2");
            return Optional.of(new CTwin(folder, command.redirectError(ProcessBuilder.Redirect.INHERIT).start()));
        } catch (IOException | InterruptedException e) {
            throw new IllegalStateException("the C ceilings failed: " + e.getMessage(), e);
        }
    }

    /** GB/s: the best of five passes over 2 GiB. */
    double read() {
        return ask("read");
    }

    /** GFLOP/s. */
    double fma() {
        return ask("fma");
    }

    private double ask(String what) {
        try {
            process.outputWriter().append(what).append('\n').flush();
            String answer = process.inputReader().readLine();
            if (answer == null) {
                throw new IOException("it ended");
            }
            return Double.parseDouble(answer);
        } catch (IOException e) {
            throw new IllegalStateException("the C ceilings failed: " + e.getMessage(), e);
        }
    }

    @Override
    public void close() {
        process.destroy();
        delete(folder);
    }

    private static boolean compile(Path source, Path program) throws IOException, InterruptedException {
        for (String compiler : List.of("cc", "gcc", "clang")) {
            try {
                run(compiler, "-O3", "-march=native", "-pthread", source.toString(), "-o", program.toString());
                return true;
            } catch (IOException e) {
                continue; // not on the path, or it does not know -march=native: the next one
            }
        }
        return false;
    }

    private static String run(String... command) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
        String out = new String(process.getInputStream().readAllBytes());
        if (!process.waitFor(5, TimeUnit.MINUTES) || process.exitValue() != 0) {
            process.destroy();
            throw new IOException(String.join(" ", command) + " failed");
        }
        return out;
    }

    private static void delete(Path folder) {
        for (String name : List.of("ceilings.c", "ceilings", "")) {
            folder.resolve(name).toFile().delete();
        }
    }
}
