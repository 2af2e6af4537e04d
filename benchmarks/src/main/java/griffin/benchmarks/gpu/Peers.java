package griffin.benchmarks.gpu;

import griffin.json.Json;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.concurrent.TimeUnit;

/** What other software reaches on the same card: the peer script's results. */
final class Peers {

    /** In the order of what is asked for first, should time run out. */
    private static final String SECTIONS = "ceilings,attention,hf_2b,gemma_2b,hf_2b_compiled";
    private static final int LIMIT_SECONDS = 420;
    private static final int LAST_START_SECONDS = 280;

    private final Map<?, ?> results;

    private Peers(Map<?, ?> results) {
        this.results = results;
    }

    /** Reads results that a script wrote. */
    static Peers parse(byte[] json, String file) {
        return Json.tree(json, file) instanceof Map<?, ?> map ? new Peers(map) : new Peers(Map.of());
    }

    /** Why the script cannot run here, or null. */
    static String missing(Path script) {
        if (!Files.isRegularFile(script)) {
            return "no peers: there is no " + script + "; name it with --peers-script";
        }
        try {
            Process python = new ProcessBuilder("python3", "-c", "import torch, transformers").redirectErrorStream(true).start();
            try (InputStream out = python.getInputStream()) {
                String said = new String(out.readAllBytes()).strip();
                return python.waitFor() == 0 ? null
                        : "no peers: python3 cannot import torch and transformers: " + said.substring(said.lastIndexOf('\n') + 1);
            }
        } catch (IOException e) {
            return "no peers: python3 does not start: " + e.getMessage();
        } catch (InterruptedException e) {
            throw interrupted(e);
        }
    }

    /** Runs the script; what it had finished when its time ran out counts. */
    static Peers run(Path script, Path out) {
        Path folder = out.resolve("peers");
        Path results = folder.resolve("baseline.json");
        try {
            Files.createDirectories(folder);
            Files.deleteIfExists(results);
            Process python = new ProcessBuilder("python3", script.toString(), "--out", folder.toString(), "--only", SECTIONS, "--deadline",
                    Integer.toString(LAST_START_SECONDS)).redirectErrorStream(true).redirectOutput(folder.resolve("peers.log").toFile())
                    .start();
            if (!python.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)) {
                python.descendants().forEach(ProcessHandle::destroyForcibly);
                python.destroyForcibly().waitFor();
            }
            return Files.exists(results) ? parse(Files.readAllBytes(results), results.toString()) : new Peers(Map.of());
        } catch (IOException e) {
            throw new UncheckedIOException("the peer script failed: " + e, e);
        } catch (InterruptedException e) {
            throw interrupted(e);
        }
    }

    private static IllegalStateException interrupted(InterruptedException e) {
        Thread.currentThread().interrupt();
        return new IllegalStateException("interrupted while the peer script ran", e);
    }

    /** A number by its path, or nothing: sections fail and are skipped on their own. */
    OptionalDouble number(String... path) {
        Object at = results;
        for (String key : path) {
            at = at instanceof Map<?, ?> map ? map.get(key) : null;
        }
        return at instanceof Number n ? OptionalDouble.of(n.doubleValue()) : OptionalDouble.empty();
    }

    OptionalDouble readBytesPerSecond() {
        return scaled(1e12, "ceilings", "read_TBps");
    }

    OptionalDouble copyBytesPerSecond() {
        return scaled(1e12, "ceilings", "copy_read_plus_write_TBps");
    }

    OptionalDouble matrixOperationsPerSecond() {
        return scaled(1e12, "ceilings", "matmul_8192_bf16_TFLOPs");
    }

    private OptionalDouble scaled(double factor, String... path) {
        OptionalDouble found = number(path);
        return found.isPresent() ? OptionalDouble.of(factor * found.getAsDouble()) : found;
    }
}
