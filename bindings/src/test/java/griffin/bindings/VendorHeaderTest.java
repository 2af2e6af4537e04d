package griffin.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code check-headers}: our headers say what the vendor's say. Skipped, with the script's reason, where those are not installed. */
class VendorHeaderTest {

    private static final int NOT_HERE = 77;

    @TempDir
    Path folder;

    @Test
    void theDriversHeaderAgrees() throws Exception {
        Result result = check();
        assertEquals(0, result.status, result.output);
    }

    @Test
    void cublasLtsHeaderAgrees() throws Exception {
        Result result = check("--cublas");
        assertEquals(0, result.status, result.output);
    }

    /** The check can fail: each of these is one difference of a kind. */
    @ParameterizedTest
    @CsvSource({"enum value, NUM_REGS = 4, NUM_REGS = 5", "macro, CU_MEMHOSTALLOC_DEVICEMAP 0x02, CU_MEMHOSTALLOC_DEVICEMAP 0x03",
        "size, pad[64], pad[72]", "offset, size_t srcY;, size_t srcY; size_t between;",
        "parameter, cuModuleUnload(CUmodule, cuModuleUnload(CUfunction", "result, CUresult cuInit, int cuInit"})
    void aDifferenceIsFound(String kind, String right, String wrong) throws Exception {
        Path header = Path.of("src/main/headers/cuda_driver.h");
        String text = Files.readString(header);
        assertTrue(text.contains(right), right);
        Files.writeString(folder.resolve("cuda_driver.h"), text.replace(right, wrong));
        Result result = check("--headers", folder.toString());
        assertEquals(1, result.status, kind + ": " + result.output);
        assertTrue(result.output.contains("error"), result.output);
    }

    private Result check(String... arguments) throws IOException, InterruptedException {
        assumeTrue(File.separatorChar == '/', "check-headers is a POSIX shell script");
        List<String> command = new ArrayList<>(List.of("sh", "check-headers"));
        command.addAll(List.of(arguments));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        Result result = new Result(process.waitFor(), output);
        assumeTrue(result.status != NOT_HERE, output.strip());
        return result;
    }

    private record Result(int status, String output) {}
}
