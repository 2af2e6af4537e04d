package griffin.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.backend.DType;
import griffin.backend.MemoryNeed;
import griffin.backend.Program;
import griffin.backend.Step;
import griffin.backend.TensorPart;
import griffin.backend.WeightRole;
import griffin.bindings.NativeLibraries;
import griffin.bindings.cuda.Cuda;
import griffin.bindings.fake.FakeDriver;
import griffin.error.DeviceException;
import griffin.error.DeviceMemoryException;
import griffin.model.GriffinConfig;
import griffin.model.GriffinModel;
import griffin.weights.ModelFiles;
import griffin.weights.WeightFiles;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

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

    /** Tensors of hundreds of sizes, between one column and several buffers, in any order of readers. */
    @Test
    void manyTensorsArriveByteForByte() {
        FakeDriver driver = Fake.publishing();
        Random random = new Random(7);
        List<TensorPart> parts = new ArrayList<>();
        List<CudaWeight> weights = new ArrayList<>();
        try (CudaBackend backend = Fake.open(driver, folder, DType.F32, true, true); Arena arena = Arena.ofShared()) {
            for (int i = 0; i < 300; i++) {
                int columns = i % 50 == 0 ? 1_000_003 : 1 + random.nextInt(20_000);
                MemorySegment data = arena.allocate(4L * columns + 1, 4).asSlice(1); // as unaligned as safetensors may be
                for (int k = 0; k < columns; k++) {
                    data.setAtIndex(ValueLayout.JAVA_INT_UNALIGNED, k, random.nextInt());
                }
                parts.add(new TensorPart(DType.F32, 1, columns, data));
                weights.add(CudaWeight.of(backend.load(WeightRole.LINEAR, parts.getLast())));
            }
            backend.allocateStep(1, 1, 0);
            for (int i = 0; i < parts.size(); i++) {
                MemorySegment data = parts.get(i).data();
                assertEquals(-1, Fake.at(weights.get(i).address(), data.byteSize()).mismatch(data), "tensor " + i);
            }
        }
        assertEquals(List.of(), driver.errors());
        assertEquals(List.of(), driver.leaks());
    }

    private static FakeDriver converting() {
        return Fake.publishing().kernel("convert_f16_f32", List.of(24L), arguments -> {
            MemorySegment packed = arguments.getFirst();
            long count = packed.get(ValueLayout.JAVA_LONG, 16);
            MemorySegment from = Fake.at(packed.get(ValueLayout.JAVA_LONG, 0), 2 * count);
            MemorySegment to = Fake.at(packed.get(ValueLayout.JAVA_LONG, 8), 4 * count);
            for (long i = 0; i < count; i++) {
                to.setAtIndex(ValueLayout.JAVA_FLOAT, i, Float.float16ToFloat(from.getAtIndex(ValueLayout.JAVA_SHORT, i)));
            }
        });
    }

    private static TensorPart halves(Arena arena, int count, int seed) {
        MemorySegment data = arena.allocate(2L * count, 2);
        for (int i = 0; i < count; i++) {
            data.setAtIndex(ValueLayout.JAVA_SHORT, i, Float.floatToFloat16((i * 31 + seed) % 2048));
        }
        return new TensorPart(DType.F16, 1, count, data);
    }

    /** Every reader converts in memory of its own, while the others do. */
    @Test
    void whatIsConvertedArrivesWhole() {
        FakeDriver driver = converting();
        try (CudaBackend backend = Fake.open(driver, folder, DType.F32, true, true); Arena arena = Arena.ofShared()) {
            List<TensorPart> parts = new ArrayList<>();
            List<CudaWeight> weights = new ArrayList<>();
            for (int count : new int[] {3_000_001, 5, 1, 2_500_000, 77_777, 4_194_304}) {
                parts.add(halves(arena, count, parts.size()));
                weights.add(CudaWeight.of(backend.load(WeightRole.LINEAR, parts.getLast())));
            }
            backend.allocateStep(1, 1, 0);
            for (int i = 0; i < parts.size(); i++) {
                MemorySegment made = Fake.at(weights.get(i).address(), weights.get(i).bytes());
                for (int k = 0; k < parts.get(i).columns(); k++) {
                    float expected = (k * 31 + i) % 2048;
                    if (made.getAtIndex(ValueLayout.JAVA_FLOAT, k) != expected) {
                        assertEquals(expected, made.getAtIndex(ValueLayout.JAVA_FLOAT, k), "element " + k + " of tensor " + i);
                    }
                }
            }
        }
        assertEquals(List.of(), driver.errors());
        assertEquals(List.of(), driver.leaks());
    }

    /** Opening, loading and closing again and again keeps nothing, whether a step ended the loading or not. */
    @Test
    void everyLoadGivesEverythingBack() {
        for (int round = 0; round < 3; round++) {
            FakeDriver driver = Fake.publishing();
            try (Arena arena = Arena.ofShared(); CudaBackend backend = Fake.open(driver, folder, DType.F32, true, true)) {
                backend.load(WeightRole.LINEAR, part(arena, 9001, round));
                if (round > 0) {
                    backend.allocateStep(1, 1, 0);
                }
            }
            assertEquals(List.of(), driver.leaks());
            assertNothingRuns();
        }
    }

    private static void assertNothingRuns() {
        assertEquals(List.of(), Thread.getAllStackTraces().keySet().stream().map(Thread::getName)
                .filter(name -> name.startsWith("griffin-load-") || name.endsWith("pin")).toList());
    }

    private static void assertNothingPinned(FakeDriver driver) {
        assertEquals(List.of(), driver.leaks().stream().filter(leak -> leak.startsWith("pinned")).toList());
    }

    /** Loads several buffers from a file that has become empty. */
    private void loadFromEmptiedFile(CudaBackend backend) throws IOException {
        long bytes = 4L * 9001 * COLUMNS;
        try (Arena arena = Arena.ofShared(); FileChannel channel = FileChannel.open(folder.resolve("weights"),
                StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            MemorySegment mapped = channel.map(FileChannel.MapMode.READ_WRITE, 0, bytes, arena);
            channel.truncate(0);
            backend.load(WeightRole.LINEAR, new TensorPart(DType.F32, 9001, COLUMNS, mapped));
            backend.allocateStep(1, 1, 0);
        }
    }

    /** A source that is gone while it is being read: what the reader saw comes out, and everything is given back at once. */
    @Test
    void aSourceThatCannotBeReadFailsCleanly() {
        FakeDriver driver = Fake.publishing();
        CudaBackend backend = Fake.open(driver, folder, DType.F32, true, true);
        assertThrows(InternalError.class, () -> loadFromEmptiedFile(backend));
        assertNothingRuns();
        assertNothingPinned(driver);
        backend.close();
        assertEquals(List.of(), driver.leaks());
    }

    /** A driver that fails in the middle says what it could not do, whichever call of a reader met it. */
    @ParameterizedTest
    @ValueSource(strings = {"cuMemcpyHtoDAsync_v2", "cuLaunchKernelEx", "cuEventRecord", "cuEventSynchronize"})
    void aDriverThatFailsInTheMiddle(String function) {
        FakeDriver driver = converting();
        CudaBackend backend = Fake.open(driver, folder, DType.F32, true, true);
        driver.failFrom(function, 5, Cuda.CUDA_ERROR_ILLEGAL_ADDRESS());
        try (Arena arena = Arena.ofShared()) {
            TensorPart part = halves(arena, 40_000_000, 1);
            DeviceException e = assertThrows(DeviceException.class, () -> {
                backend.load(WeightRole.LINEAR, part);
                backend.allocateStep(1, 1, 0);
            });
            String called = function.replace("_v2", "");
            assertTrue(e.getMessage().contains(called) && e.getMessage().contains("CUDA_ERROR_ILLEGAL_ADDRESS"), e::getMessage);
            assertNothingRuns();
            assertNothingPinned(driver);
        } // closing the arena would fail while a reader is in it
        backend.close();
        assertEquals(List.of(), driver.leaks());
    }

    /** It is done aside, and said to whoever loads first; a backend that loads nothing does not mind. */
    @Test
    void memoryThatCannotBePinned() {
        for (boolean loading : new boolean[] {true, false}) {
            FakeDriver driver = Fake.publishing().fail("cuMemHostAlloc", 1, Cuda.CUDA_ERROR_OUT_OF_MEMORY());
            try (Arena arena = Arena.ofShared(); CudaBackend backend = Fake.open(driver, folder, DType.F32, true, true)) {
                if (loading) {
                    TensorPart part = part(arena, 1, 1);
                    var e = assertThrows(DeviceMemoryException.class, () -> backend.load(WeightRole.LINEAR, part));
                    assertTrue(e.getMessage().contains("cuMemHostAlloc of "), e::getMessage);
                }
            }
            assertEquals(List.of(), driver.leaks());
        }
    }

    @Test
    void memoryThatCannotBeUnpinnedIsSaidAtTheEnd() {
        FakeDriver driver = Fake.publishing().fail("cuMemFreeHost", 1, Cuda.CUDA_ERROR_UNKNOWN());
        CudaBackend backend = Fake.open(driver, folder, DType.F32, true, true);
        try (Arena arena = Arena.ofShared()) {
            backend.load(WeightRole.LINEAR, part(arena, 1, 1));
            backend.allocateStep(1, 1, 0);
        }
        assertTrue(assertThrows(DeviceException.class, backend::close).getMessage().contains("cuMemFreeHost"));
    }

    /** A unit that is converted as a whole may be larger than a buffer. */
    @Test
    void aUnitLargerThanABuffer() {
        int side = 1 << 10;
        FakeDriver driver = Fake.publishing().kernel("transpose_gates_f32_f32", List.of(20L), arguments -> {
            MemorySegment packed = arguments.getFirst();
            Fake.at(packed.get(ValueLayout.JAVA_LONG, 8), 4L * side * side)
                    .copyFrom(Fake.at(packed.get(ValueLayout.JAVA_LONG, 0), 4L * side * side));
        });
        try (CudaBackend backend = Fake.open(driver, folder, DType.F32, true, true); Arena arena = Arena.ofShared()) {
            backend.load(WeightRole.LINEAR, part(arena, 1, 1));
            MemorySegment data = arena.allocate(3L * 4 * side * side, 4).fill((byte) 3);
            CudaWeight gates = CudaWeight.of(backend.load(WeightRole.GATES, new TensorPart(DType.F32, 3 * side, side, data)));
            backend.allocateStep(1, 1, 0);
            assertEquals(-1, Fake.at(gates.address(), data.byteSize()).mismatch(data));
        }
        assertEquals(3, driver.launches().size(), "a head is larger than half a buffer");
        assertEquals(List.of(), driver.errors());
        assertEquals(List.of(), driver.leaks());
    }

    /** All weights of a model that was announced share an allocation. */
    @ParameterizedTest
    @EnumSource(value = DType.class, names = {"BF16", "F32"})
    void aModelThatWasAnnouncedIsOneAllocation(DType operands) {
        ModelFiles files = SparseModel.narrow2b(folder, "BF16");
        GriffinConfig config = GriffinConfig.read(files);
        MemoryNeed need = GriffinModel.memoryNeed(config, 1, 64, 1);
        FakeDriver driver = Fake.publishing();
        try (CudaBackend backend = Fake.open(driver, folder, operands, true, true); Arena arena = Arena.ofShared()) {
            WeightFiles weights = WeightFiles.open(files, arena);
            backend.requireMemory(need);
            int calls = driver.calls("cuMemAlloc_v2");
            long before = driver.allocatedBytes();
            new GriffinModel(backend, config, weights);
            assertEquals(2, driver.calls("cuMemAlloc_v2") - calls, "the weights, and memory to convert in");
            backend.allocateStep(1, 1, 0);
            long kept = driver.allocatedBytes() - before;
            assertTrue(kept >= need.weightBytes(operands) && kept < need.weightBytes(operands) + (4L << 20),
                    kept + " bytes for " + need.weightBytes(operands));
        }
        assertEquals(List.of(), driver.errors());
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
