package griffin.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import griffin.backend.DType;
import griffin.backend.Program;
import griffin.backend.Step;
import griffin.backend.TensorPart;
import griffin.backend.WeightRole;
import griffin.bindings.NativeLibraries;
import griffin.bindings.fake.FakeDriver;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Weights of any size arrive whole and in order, and their source is not read any more once a step was asked for. */
class StagingTest {

    private static final int COLUMNS = 1031;

    @TempDir
    Path folder;

    @AfterEach
    void forget() {
        NativeLibraries.forget();
    }

    private static TensorPart part(Arena arena, int rows, int seed) {
        MemorySegment data = arena.allocate(4L * rows * COLUMNS, 4);
        for (long i = 0; i < (long) rows * COLUMNS; i++) {
            data.setAtIndex(ValueLayout.JAVA_INT, i, (int) (i * 0x9e3779b9L) + seed);
        }
        return new TensorPart(DType.F32, rows, COLUMNS, data);
    }

    @Test
    void partsOfAllSizes() {
        FakeDriver driver = Fake.publishing();
        try (CudaBackend backend = Fake.open(driver, folder, DType.F32, true, true)) {
            for (int[] sizes : new int[][] {{1}, {3, 300}, {1000, 1}, {9001}, {4100, 4100, 7}, {2}}) {
                CudaWeight weight;
                try (Arena arena = Arena.ofShared()) { // closing it fails while a reader is in it
                    TensorPart[] parts = new TensorPart[sizes.length];
                    for (int i = 0; i < sizes.length; i++) {
                        parts[i] = part(arena, sizes[i], i);
                    }
                    weight = CudaWeight.of(backend.load(WeightRole.LINEAR, parts));
                    backend.allocateStep(1, 1, 0);
                    long at = weight.address();
                    for (TensorPart part : parts) {
                        assertEquals(-1, Fake.at(at, part.data().byteSize()).mismatch(part.data()), sizes.length + " parts");
                        at += part.data().byteSize();
                    }
                }
                assertEquals(4L * COLUMNS * weight.rows(), weight.bytes());
            }
        }
        assertEquals(List.of(), driver.errors());
        assertEquals(List.of(), driver.leaks());
    }

    /** A source that is gone while it is being read: what the reader saw comes out, and everything is given back. */
    @Test
    void aSourceThatCannotBeReadFailsCleanly() throws Exception {
        Path file = folder.resolve("weights");
        long bytes = 4L * 9001 * COLUMNS;
        FakeDriver driver = Fake.publishing();
        try (Arena arena = Arena.ofShared(); FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE,
                StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            MemorySegment mapped = channel.map(FileChannel.MapMode.READ_WRITE, 0, bytes, arena);
            channel.truncate(0);
            CudaBackend backend = Fake.open(driver, folder, DType.F32, true, true);
            assertThrows(InternalError.class, () -> {
                backend.load(WeightRole.LINEAR, new TensorPart(DType.F32, 9001, COLUMNS, mapped));
                backend.allocateStep(1, 1, 0);
            });
            backend.close();
        }
        assertEquals(List.of(), driver.leaks());
    }

    /** What is still being read when a step is asked for is on the device before anything of the step runs. */
    @Test
    void weightsLoadedAfterTheStepAreThereWhenAProgramRuns() {
        FakeDriver driver = Fake.publishing();
        try (CudaBackend backend = Fake.open(driver, folder, DType.F32, true, true); Arena arena = Arena.ofShared()) {
            Step step = backend.allocateStep(1, 1, 0);
            Program program = backend.record(step, () -> {});
            TensorPart part = part(arena, 9001, 1);
            CudaWeight weight = CudaWeight.of(backend.load(WeightRole.LINEAR, part));
            backend.run(program);
            assertEquals(-1, Fake.at(weight.address(), part.data().byteSize()).mismatch(part.data()));
        }
        assertEquals(List.of(), driver.errors());
    }
}
