package griffin.benchmarks.gpu;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.InvocationTargetException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/** Model directories: given ones, or random normal weights of the released shapes, made when they are asked for. */
final class Models implements AutoCloseable {

    private static final String MAKER = "griffin.weights.RandomModel";

    private final List<Path> temporary = new ArrayList<>();

    /**
     * A directory with a model.
     *
     * @param size  2b or 9b
     * @param given where it is or is to be made, or null for a temporary folder, deleted by {@link #close}
     */
    Path get(String size, Path given) {
        if (given != null && Files.isDirectory(given)) {
            return given;
        }
        try {
            Path target = given;
            if (given == null) {
                Path folder = Files.createTempDirectory("griffin-report-");
                temporary.add(folder);
                target = folder.resolve(size);
            }
            Path unfinished = target.resolveSibling(target.getFileName() + ".part");
            delete(unfinished);
            make(size, unfinished);
            return Files.move(unfinished, target);
        } catch (IOException e) {
            throw new UncheckedIOException("no room for a random model of " + size + ": " + e, e);
        }
    }

    /** The maker is one of the core's test classes, and the product does not depend on those. */
    private static void make(String size, Path target) {
        try {
            Class.forName(MAKER).getMethod("main", String[].class).invoke(null,
                    (Object) new String[] {"--config", size, "--out", target.toString()});
        } catch (ClassNotFoundException e) {
            throw new IllegalStateException(
                    "random weights need griffin-core-tests.jar beside the other jars; add it, or name a model with --model-" + size, e);
        } catch (InvocationTargetException e) {
            throw new IllegalStateException("making a random model of " + size + " failed: " + e.getCause(), e);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(MAKER + " has no main method that can be called", e);
        }
    }

    private static void delete(Path folder) throws IOException {
        if (Files.exists(folder)) {
            try (Stream<Path> files = Files.walk(folder)) {
                for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(file);
                }
            }
        }
    }

    @Override
    public void close() {
        try {
            for (Path folder : temporary) {
                delete(folder);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
