package griffin.bindings.fake;

import static griffin.bindings.cuda.Cuda.*;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.bindings.NativeLibraries;
import griffin.bindings.cuda.CUDA_MEMCPY2D;
import griffin.bindings.cuda.CUlaunchAttribute;
import griffin.bindings.cuda.CUlaunchAttributeValue;
import griffin.bindings.cuda.CUlaunchConfig;
import griffin.bindings.cuda.Cuda;
import griffin.bindings.fake.FakeDriver.Launch;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodType;
import java.lang.reflect.Method;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The generated class called through the fake: calls arrive, results come back, and the fake is as strict as the real driver. */
class FakeDriverTest {

    private static final int BYTES = 64;

    private final Arena arena = Arena.ofConfined();
    private final MemorySegment out = arena.allocate(BYTES);
    private FakeDriver driver = new FakeDriver().install();

    @AfterEach
    void close() {
        assertEquals(List.of(), driver.errors());
        NativeLibraries.forget();
        arena.close();
    }

    @Test
    void everyFunctionOfTheGeneratedClassIsFakedWithItsType() throws Exception {
        Map<String, MethodType> generated = new TreeMap<>();
        for (Method method : Cuda.class.getMethods()) {
            if (method.getName().endsWith("$descriptor")) {
                String name = method.getName().replace("$descriptor", "");
                generated.put(name, ((FunctionDescriptor) method.invoke(null)).toMethodType());
            }
        }
        assertEquals(60, generated.size());
        assertEquals(generated, FakeSymbols.types());
    }

    @Test
    void structsHaveTheSizesOfTheDriversAbi() {
        assertEquals(56, CUlaunchConfig.sizeof());
        assertEquals(72, CUlaunchAttribute.sizeof());
        assertEquals(128, CUDA_MEMCPY2D.sizeof());
    }

    @Test
    void aDeviceDescribesItself() {
        driver = new FakeDriver().version(12040).name("Test card").computeCapability(8, 6).devices(2).install();
        assertEquals(CUDA_ERROR_NOT_INITIALIZED(), cuDeviceGetCount(out));
        assertEquals(0, cuDriverGetVersion(out));
        assertEquals(12040, integer());
        assertEquals(0, cuInit(0));
        assertEquals(0, cuDeviceGetCount(out));
        assertEquals(2, integer());
        assertEquals(0, cuDeviceGet(out, 1));
        assertEquals(0, cuDeviceGetName(out, BYTES, 1));
        assertEquals("Test card", out.getString(0));
        assertEquals(0, cuDeviceGetAttribute(out, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR(), 1));
        assertEquals(6, integer());
        assertEquals(CUDA_ERROR_INVALID_DEVICE(), cuDeviceGet(out, 2));
    }

    @Test
    void noDeviceIsAnErrorOfInit() {
        driver = new FakeDriver().devices(0).install();
        assertEquals(CUDA_ERROR_NO_DEVICE(), cuInit(0));
        assertEquals(0, cuGetErrorName(CUDA_ERROR_NO_DEVICE(), out));
        assertEquals("CUDA_ERROR_NO_DEVICE", string());
        assertEquals(0, cuGetErrorString(CUDA_ERROR_OUT_OF_MEMORY(), out));
        assertEquals("out of memory", string());
        assertEquals(CUDA_ERROR_INVALID_VALUE(), cuGetErrorString(4711, out));
    }

    @Test
    void anOldDriverLacksFunctions() {
        new FakeDriver().without("cuLaunchKernelEx", "cuEventElapsedTime_v2").install();
        List<String> wanted = List.of("cuInit", "cuLaunchKernelEx", "cuLaunchKernel");
        assertEquals(List.of("cuLaunchKernelEx"), NativeLibraries.probeCuda().missing(wanted));
        new FakeDriver().install();
        assertEquals(List.of(), NativeLibraries.probeCuda().missing(wanted));
        assertEquals(List.of("cuNoSuchThing"), NativeLibraries.probeCuda().missing(List.of("cuNoSuchThing")));
    }

    @Test
    void aThreadNeedsTheContext() throws Exception {
        start();
        int[] other = new int[1];
        Thread thread = new Thread(() -> other[0] = cuCtxSynchronize());
        thread.start();
        thread.join();
        assertEquals(CUDA_ERROR_INVALID_CONTEXT(), other[0]);
        assertEquals(0, cuCtxSynchronize());
    }

    @Test
    void memoryRoundTrip() {
        start();
        long device = allocate(16);
        MemorySegment host = arena.allocateFrom(ValueLayout.JAVA_INT, 1, 2, 3, 4);
        MemorySegment back = arena.allocate(16);
        assertEquals(0, cuMemcpyDtoH_v2(back, device, 16));
        assertTrue(Float.isNaN(back.get(ValueLayout.JAVA_FLOAT, 0)), "fresh device memory");
        assertEquals(0, cuMemcpyHtoD_v2(device, host, 16));
        assertEquals(0, cuMemsetD32Async(device + 4, 7, 2, MemorySegment.NULL));
        assertEquals(0, cuMemsetD8Async(device + 12, (byte) 1, 4, MemorySegment.NULL));
        assertEquals(0, cuMemcpyDtoHAsync_v2(back, device, 16, MemorySegment.NULL));
        assertEquals(List.of(1, 7, 7, 0x01010101), integers(back));
        assertEquals(CUDA_ERROR_INVALID_VALUE(), cuMemcpyDtoH_v2(back, device + 1, 16));
        assertEquals(CUDA_ERROR_INVALID_VALUE(), cuMemFree_v2(device + 4));
        assertEquals(List.of("device memory of 16 bytes"), driver.leaks());
        assertEquals(0, cuMemFree_v2(device));
        assertEquals(List.of(), driver.leaks());
    }

    @Test
    void copiesOfRectangles() {
        start();
        long device = allocate(16);
        assertEquals(0, cuMemcpyHtoD_v2(device, arena.allocateFrom(ValueLayout.JAVA_INT, 1, 2, 3, 4), 16));
        MemorySegment host = arena.allocate(16);
        MemorySegment copy = arena.allocate(CUDA_MEMCPY2D.layout());
        CUDA_MEMCPY2D.srcMemoryType(copy, CU_MEMORYTYPE_DEVICE());
        CUDA_MEMCPY2D.srcDevice(copy, device);
        CUDA_MEMCPY2D.srcXInBytes(copy, 4);
        CUDA_MEMCPY2D.srcPitch(copy, 8);
        CUDA_MEMCPY2D.dstMemoryType(copy, CU_MEMORYTYPE_HOST());
        CUDA_MEMCPY2D.dstHost(copy, host);
        CUDA_MEMCPY2D.WidthInBytes(copy, 4);
        CUDA_MEMCPY2D.Height(copy, 2);
        assertEquals(0, cuMemcpy2DAsync_v2(copy, MemorySegment.NULL));
        assertEquals(List.of(2, 4, 0, 0), integers(host));
        assertEquals(0, cuMemFree_v2(device));
    }

    @Test
    void moreThanThereIsIsOutOfMemory() {
        driver = new FakeDriver().memory(1024).install();
        start();
        long device = allocate(1000);
        assertEquals(CUDA_ERROR_OUT_OF_MEMORY(), cuMemAlloc_v2(out, 25));
        MemorySegment total = arena.allocate(8);
        assertEquals(0, cuMemGetInfo_v2(out, total));
        assertEquals(24, out.get(ValueLayout.JAVA_LONG, 0));
        assertEquals(1024, total.get(ValueLayout.JAVA_LONG, 0));
        assertEquals(0, cuMemFree_v2(device));
        assertEquals(0, driver.allocatedBytes());
    }

    @Test
    void pinnedMemoryIsMapped() {
        start();
        assertEquals(0, cuMemHostAlloc(out, 16, CU_MEMHOSTALLOC_DEVICEMAP()));
        MemorySegment pinned = out.get(ValueLayout.ADDRESS, 0).reinterpret(16);
        assertEquals(0, cuMemHostGetDevicePointer_v2(out, pinned, 0));
        assertEquals(0, cuMemsetD32Async(out.get(ValueLayout.JAVA_LONG, 0), 5, 4, MemorySegment.NULL));
        assertEquals(List.of(5, 5, 5, 5), integers(pinned));
        assertEquals(0, cuMemFreeHost(pinned));
        MemorySegment mapped = arena.allocate(16);
        assertEquals(0, cuMemHostRegister_v2(mapped, 16, CU_MEMHOSTREGISTER_READ_ONLY()));
        assertEquals(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED(), cuMemHostRegister_v2(mapped, 16, 0));
        assertEquals(0, cuMemHostUnregister(mapped));
    }

    @Test
    void theNthCallFails() {
        driver = new FakeDriver().fail("cuMemAlloc_v2", 2, CUDA_ERROR_OUT_OF_MEMORY())
                .failFrom("cuStreamSynchronize", 2, CUDA_ERROR_LAUNCH_FAILED()).install();
        start();
        allocate(1);
        assertEquals(CUDA_ERROR_OUT_OF_MEMORY(), cuMemAlloc_v2(out, 1));
        allocate(1);
        assertEquals(3, driver.calls("cuMemAlloc_v2"));
        assertEquals(0, cuStreamSynchronize(MemorySegment.NULL));
        assertEquals(CUDA_ERROR_LAUNCH_FAILED(), cuStreamSynchronize(MemorySegment.NULL));
        assertEquals(CUDA_ERROR_LAUNCH_FAILED(), cuStreamSynchronize(MemorySegment.NULL));
    }

    @Test
    void launchesAreRecordedAndKernelsRunTheirCode() {
        int[] seen = new int[1];
        driver.kernel("add", List.of(8L, 4L), arguments -> seen[0] += arguments.get(1).get(ValueLayout.JAVA_INT, 0)).withoutKernels("gone");
        start();
        MemorySegment function = function("add");
        MemorySegment three = arena.allocateFrom(ValueLayout.JAVA_INT, 3);
        MemorySegment parameters = arena.allocateFrom(ValueLayout.JAVA_LONG, arena.allocate(8).address(), three.address());
        assertEquals(0, cuLaunchKernel(function, 2, 3, 1, 128, 1, 1, 512, MemorySegment.NULL, parameters, MemorySegment.NULL));
        assertEquals(0, cuLaunchKernelEx(programmatic(), function, parameters, MemorySegment.NULL));
        assertEquals(0, cuLaunchCooperativeKernel(function, 1, 1, 1, 32, 1, 1, 0, MemorySegment.NULL, parameters));
        assertEquals(9, seen[0]);
        assertEquals(List.of(new Launch("add", 2, 3, 1, 128, 1, 1, 512, false, false, false, 1),
                new Launch("add", 4, 1, 1, 64, 1, 1, 0, false, true, false, 1),
                new Launch("add", 1, 1, 1, 32, 1, 1, 0, false, false, true, 1)), driver.launches());
        assertEquals(CUDA_ERROR_INVALID_VALUE(),
                cuLaunchKernel(function, 1, 1, 1, 2048, 1, 1, 0, MemorySegment.NULL, parameters, MemorySegment.NULL));
    }

    @Test
    void clustersDivideTheGridOfACardThatHasThem() {
        start();
        MemorySegment function = function("add");
        assertEquals(0, cuLaunchKernelEx(clusters(2), function, MemorySegment.NULL, MemorySegment.NULL));
        assertEquals(List.of(new Launch("add", 4, 1, 1, 64, 1, 1, 0, false, true, false, 2)), driver.launches());
        assertEquals(CUDA_ERROR_INVALID_VALUE(), cuLaunchKernelEx(clusters(3), function, MemorySegment.NULL, MemorySegment.NULL));
        driver.computeCapability(8, 9);
        assertEquals(CUDA_ERROR_INVALID_VALUE(), cuLaunchKernelEx(clusters(2), function, MemorySegment.NULL, MemorySegment.NULL));
    }

    @Test
    void aPackedBlockIsCopiedWhenTheLaunchIsIssued() {
        long[] seen = new long[1];
        driver.kernel("packed", List.of(), arguments -> seen[0] = arguments.getFirst().get(ValueLayout.JAVA_LONG, 8));
        start();
        MemorySegment function = function("packed");
        assertEquals(0, cuStreamCreate(out, 0));
        MemorySegment stream = out.get(ValueLayout.ADDRESS, 0);
        MemorySegment block = arena.allocateFrom(ValueLayout.JAVA_LONG, 1, 2);
        MemorySegment size = arena.allocateFrom(ValueLayout.JAVA_LONG, block.byteSize());
        MemorySegment extra = arena.allocateFrom(ValueLayout.JAVA_LONG, CU_LAUNCH_PARAM_BUFFER_POINTER_AS_INT(), block.address(),
                CU_LAUNCH_PARAM_BUFFER_SIZE_AS_INT(), size.address(), CU_LAUNCH_PARAM_END_AS_INT());
        assertEquals(0, cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED()));
        assertEquals(0, cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, 0, stream, MemorySegment.NULL, extra));
        block.fill((byte) 0);
        assertEquals(0, cuStreamEndCapture(stream, out));
        assertEquals(0, cuGraphInstantiateWithFlags(out, out.get(ValueLayout.ADDRESS, 0), 0));
        assertEquals(0, cuGraphLaunch(out.get(ValueLayout.ADDRESS, 0), stream));
        assertEquals(2, seen[0]);
    }

    @Test
    void sharedMemoryBeyondTheOrdinaryIsAskedFor() {
        start();
        MemorySegment function = function("big");
        int shared = 100 << 10;
        assertEquals(CUDA_ERROR_INVALID_VALUE(), launch(function, shared, MemorySegment.NULL));
        assertEquals(0, cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES(), shared));
        assertEquals(0, launch(function, shared, MemorySegment.NULL));
        assertEquals(0, cuFuncGetAttribute(out, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES(), function));
        assertEquals(shared, integer());
    }

    @Test
    void aGraphRunsWhatWasCaptured() {
        start();
        MemorySegment function = function("step");
        long device = allocate(4);
        assertEquals(0, cuStreamCreate(out, CU_STREAM_NON_BLOCKING()));
        MemorySegment stream = out.get(ValueLayout.ADDRESS, 0);
        assertEquals(0, cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL()));
        assertEquals(0, launch(function, 0, stream));
        assertEquals(0, cuMemsetD32Async(device, 42, 1, stream));
        assertEquals(0, cuStreamEndCapture(stream, out));
        MemorySegment graph = out.get(ValueLayout.ADDRESS, 0);
        assertEquals(List.of(), driver.launches());
        assertEquals(0, cuGraphInstantiateWithFlags(out, graph, 0));
        MemorySegment executable = out.get(ValueLayout.ADDRESS, 0);
        assertEquals(0, cuGraphDestroy(graph));
        assertEquals(0, cuGraphUpload(executable, stream));
        assertEquals(0, cuGraphLaunch(executable, stream));
        assertEquals(0, cuGraphLaunch(executable, stream));
        assertEquals(2, driver.launches().size());
        assertTrue(driver.launches().getFirst().graph());
        assertEquals(0, cuMemcpyDtoH_v2(out, device, 4));
        assertEquals(42, integer());
        assertEquals(0, cuGraphExecDestroy(executable));
        assertEquals(CUDA_ERROR_INVALID_VALUE(), cuGraphLaunch(executable, stream));
        assertEquals(0, cuStreamDestroy_v2(stream));
    }

    @Test
    void waitingWhileCapturingLosesTheCapture() {
        start();
        assertEquals(0, cuStreamCreate(out, 0));
        MemorySegment stream = out.get(ValueLayout.ADDRESS, 0);
        assertEquals(0, cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL()));
        assertEquals(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED(), cuStreamSynchronize(stream));
        assertEquals(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED(), cuStreamEndCapture(stream, out));
    }

    @Test
    void eventsTellTime() {
        start();
        MemorySegment first = event();
        MemorySegment last = event();
        assertEquals(0, cuEventRecord(first, MemorySegment.NULL));
        assertEquals(CUDA_ERROR_INVALID_HANDLE(), cuEventElapsedTime(out, first, last));
        assertEquals(0, cuStreamWaitEvent(MemorySegment.NULL, first, 0));
        assertEquals(0, cuEventRecord(last, MemorySegment.NULL));
        assertEquals(0, cuEventSynchronize(last));
        assertEquals(0, cuEventElapsedTime(out, first, last));
        assertTrue(out.get(ValueLayout.JAVA_FLOAT, 0) >= 0);
        assertEquals(0, cuEventDestroy_v2(first));
        assertEquals(List.of("event"), driver.leaks());
    }

    private void start() {
        assertEquals(0, cuInit(0));
        assertEquals(0, cuDevicePrimaryCtxRetain(out, 0));
        assertEquals(0, cuCtxSetCurrent(out.get(ValueLayout.ADDRESS, 0)));
    }

    private long allocate(long bytes) {
        assertEquals(0, cuMemAlloc_v2(out, bytes));
        assertNotEquals(0, out.get(ValueLayout.JAVA_LONG, 0));
        return out.get(ValueLayout.JAVA_LONG, 0);
    }

    private MemorySegment function(String name) {
        assertEquals(0, cuModuleLoadData(out, arena.allocateFrom("image")));
        MemorySegment module = out.get(ValueLayout.ADDRESS, 0);
        assertEquals(driver.missingKernels.isEmpty() ? 0 : CUDA_ERROR_NOT_FOUND(),
                cuModuleGetFunction(out, module, arena.allocateFrom("gone")));
        assertEquals(0, cuModuleGetFunction(out, module, arena.allocateFrom(name)));
        return out.get(ValueLayout.ADDRESS, 0);
    }

    private MemorySegment event() {
        assertEquals(0, cuEventCreate(out, CU_EVENT_DEFAULT()));
        return out.get(ValueLayout.ADDRESS, 0);
    }

    private static int launch(MemorySegment function, int shared, MemorySegment stream) {
        return cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, shared, stream, MemorySegment.NULL, MemorySegment.NULL);
    }

    /** As programmatic, in clusters. */
    private MemorySegment clusters(int blocks) {
        MemorySegment config = programmatic();
        MemorySegment attribute = CUlaunchAttribute.asSlice(CUlaunchConfig.attrs(config).reinterpret(2 * CUlaunchAttribute.sizeof()), 1);
        CUlaunchAttribute.id(attribute, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION());
        MemorySegment size = CUlaunchAttributeValue.clusterDim(CUlaunchAttribute.value(attribute));
        CUlaunchAttributeValue.clusterDim.x(size, blocks);
        CUlaunchAttributeValue.clusterDim.y(size, 1);
        CUlaunchAttributeValue.clusterDim.z(size, 1);
        CUlaunchConfig.numAttrs(config, 2);
        return config;
    }

    private MemorySegment programmatic() {
        MemorySegment attribute = CUlaunchAttribute.allocateArray(2, arena);
        CUlaunchAttribute.id(attribute, CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION());
        CUlaunchAttributeValue.programmaticStreamSerializationAllowed(CUlaunchAttribute.value(attribute), 1);
        MemorySegment config = arena.allocate(CUlaunchConfig.layout());
        CUlaunchConfig.gridDimX(config, 4);
        CUlaunchConfig.gridDimY(config, 1);
        CUlaunchConfig.gridDimZ(config, 1);
        CUlaunchConfig.blockDimX(config, 64);
        CUlaunchConfig.blockDimY(config, 1);
        CUlaunchConfig.blockDimZ(config, 1);
        CUlaunchConfig.attrs(config, attribute);
        CUlaunchConfig.numAttrs(config, 1);
        return config;
    }

    private int integer() {
        return out.get(ValueLayout.JAVA_INT, 0);
    }

    private String string() {
        return out.get(ValueLayout.ADDRESS, 0).reinterpret(BYTES).getString(0);
    }

    private static List<Integer> integers(MemorySegment segment) {
        return segment.elements(ValueLayout.JAVA_INT).map(element -> element.get(ValueLayout.JAVA_INT, 0)).toList();
    }
}
