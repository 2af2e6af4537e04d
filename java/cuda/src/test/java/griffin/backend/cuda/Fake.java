package griffin.backend.cuda;

import griffin.backend.DType;
import griffin.bindings.fake.FakeDriver;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A backend on the fake driver: everything up to the kernels themselves is real. */
final class Fake {

    /** Bytes of struct Step. */
    static final long STEP_BYTES = 18 * 8 + 4 * 4;

    private static final Path MANIFEST = Path.of("../../cuda-kernels/compiled/manifest.json");
    private static final Pattern KERNELS = Pattern.compile("\"kernels\": \\[([^\\]]*)\\]");
    private static final Pattern NAME = Pattern.compile("\"(\\w+)\"");

    private Fake() {}

    /** Opens a backend on the driver, with kernels in {@code folder} whose bytes nobody reads. */
    static CudaBackend open(FakeDriver driver, Path folder, DType operands, boolean graphs, boolean fusions) {
        return open(driver, folder, operands, new CudaSettings(fusions, graphs, true, false, 0, 0, 32, folder), notice -> {});
    }

    /** The same with cuBLASLt, which must be installed. */
    static CudaBackend withCublas(FakeDriver driver, Path folder, DType operands, Consumer<String> notices) {
        return open(driver, folder, operands, new CudaSettings(true, true, true, true, 0, 0, 32, folder), notices);
    }

    /** With any settings; their folder must be {@code folder}. */
    static CudaBackend open(FakeDriver driver, Path folder, DType operands, CudaSettings settings, Consumer<String> notices) {
        driver.install();
        try {
            Files.write(folder.resolve("all.fatbin"), new byte[] {1});
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return new CudaBackend(0, operands, settings, notices);
    }

    /** The kernels of {@code cuda-kernels/compiled}. */
    static Set<String> compiledKernels() {
        try {
            Set<String> names = new HashSet<>();
            Matcher lists = KERNELS.matcher(Files.readString(MANIFEST));
            while (lists.find()) {
                NAME.matcher(lists.group(1)).results().forEach(name -> names.add(name.group(1)));
            }
            return names;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * A driver with the kernels that were compiled and no others, whose publish_result counts the ticket up and publishes it, so that runs
     * can be awaited.
     */
    static FakeDriver publishing() {
        return new FakeDriver().withKernels(compiledKernels()).kernel("publish_result", List.of(STEP_BYTES), arguments -> {
            MemorySegment step = arguments.getFirst();
            MemorySegment counts = at(step.get(ValueLayout.JAVA_LONG, 0), 16);
            int ticket = counts.getAtIndex(ValueLayout.JAVA_INT, 3);
            int stride = step.get(ValueLayout.JAVA_INT, 18 * 8 + 12);
            MemorySegment ring = at(step.get(ValueLayout.JAVA_LONG, 17 * 8), 16L * stride);
            MemorySegment slot = ring.asSlice(4L * stride * (ticket & 3));
            slot.setAtIndex(ValueLayout.JAVA_INT, 1, 700 + ticket); // ids[0]
            slot.setAtIndex(ValueLayout.JAVA_INT, 0, ticket + 1);
            counts.setAtIndex(ValueLayout.JAVA_INT, 3, ticket + 1);
        });
    }

    /** Device memory of the fake is host memory. */
    static MemorySegment at(long address, long bytes) {
        return MemorySegment.ofAddress(address).reinterpret(bytes);
    }
}
