package griffin.benchmarks;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** The same ceilings in C, compiled where there is a compiler; they say whether Java's are the machine's. */
record CTwin(double readGigabytes, double fmaGigaflops) {

    /** Empty, with a printed reason, where no C compiler works. */
    static Optional<CTwin> measure(int threads, int runs) {
        Path folder = null;
        try {
            folder = Files.createTempDirectory("griffin-ceilings");
            Path source = folder.resolve("ceilings.c");
            Path program = folder.resolve("ceilings");
            try (InputStream in = CTwin.class.getResourceAsStream("ceilings.c")) {
                Files.copy(in, source);
            }
            if (!compile(source, program)) {
                Results.note("no C compiler (cc or gcc) on the path: the C ceilings are left out");
                return Optional.empty();
            }
            List<String> lines = run(program.toString(), Integer.toString(threads), "2", Integer.toString(runs)).lines().toList();
            return Optional.of(new CTwin(Double.parseDouble(lines.get(0)), Double.parseDouble(lines.get(1))));
        } catch (IOException | InterruptedException e) {
            throw new IllegalStateException("the C ceilings failed: " + e.getMessage(), e);
        } finally {
            delete(folder);
        }
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
        if (folder != null) {
            for (String name : List.of("ceilings.c", "ceilings", "")) {
                folder.resolve(name).toFile().delete();
            }
        }
    }
}
