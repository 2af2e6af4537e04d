package griffin.bindings.fake;

import griffin.bindings.cuda.CUlaunchAttribute;
import griffin.bindings.cuda.CUlaunchAttributeValue;
import griffin.bindings.cuda.CUlaunchConfig;
import griffin.bindings.cuda.Cuda;
import griffin.bindings.fake.FakeDriver.FakeKernel;
import griffin.bindings.fake.FakeDriver.Launch;
import griffin.bindings.fake.FakeStreams.Function;
import griffin.bindings.fake.FakeStreams.Module;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;

/** The fake's side of modules, kernels and launches. Methods are named and typed like the driver's functions. */
final class FakeLaunchApi {

    private FakeLaunchApi() {}

    static int cuModuleLoadData(MemorySegment module, MemorySegment image) {
        if (image.address() == 0) {
            return Cuda.CUDA_ERROR_INVALID_VALUE();
        }
        return FakeDeviceApi.write(module, streams().add(new Module()));
    }

    static int cuModuleLoadDataEx(MemorySegment module, MemorySegment image, int count, MemorySegment options, MemorySegment values) {
        return cuModuleLoadData(module, image);
    }

    static int cuModuleGetFunction(MemorySegment function, MemorySegment module, MemorySegment name) {
        Module found = streams().get(module, Module.class);
        if (found == null) {
            return Cuda.CUDA_ERROR_INVALID_HANDLE();
        }
        String kernel = name.reinterpret(Long.MAX_VALUE).getString(0);
        FakeDriver driver = FakeDriver.current();
        if (driver.missingKernels.contains(kernel) || driver.knownKernels != null && !driver.knownKernels.contains(kernel)) {
            return Cuda.CUDA_ERROR_NOT_FOUND();
        }
        return FakeDeviceApi.write(function, streams().add(new Function(found, kernel, new ConcurrentHashMap<>())));
    }

    static int cuModuleUnload(MemorySegment module) {
        return streams().remove(module, Module.class);
    }

    static int cuFuncGetAttribute(MemorySegment value, int attribute, MemorySegment function) {
        Function found = streams().get(function, Function.class);
        if (found == null) {
            return Cuda.CUDA_ERROR_INVALID_HANDLE();
        }
        boolean threads = attribute == Cuda.CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK();
        int unset = threads ? FakeDriver.current().attributes.get(Cuda.CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK()) : 0;
        return FakeDeviceApi.write(value, found.attributes().getOrDefault(attribute, unset));
    }

    static int cuFuncSetAttribute(MemorySegment function, int attribute, int value) {
        Function found = streams().get(function, Function.class);
        if (found == null) {
            return Cuda.CUDA_ERROR_INVALID_HANDLE();
        }
        found.attributes().put(attribute, value);
        return Cuda.CUDA_SUCCESS();
    }

    static int cuOccupancyMaxActiveBlocksPerMultiprocessor(MemorySegment blocks, MemorySegment function, int blockSize, long shared) {
        if (streams().get(function, Function.class) == null || blockSize <= 0) {
            return Cuda.CUDA_ERROR_INVALID_VALUE();
        }
        int threads = FakeDriver.current().attributes.get(Cuda.CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR());
        return FakeDeviceApi.write(blocks, threads / blockSize);
    }

    /** As if a block took a multiprocessor, and GPCs had sixteen of them. */
    static int cuOccupancyMaxActiveClusters(MemorySegment clusters, MemorySegment function, MemorySegment config) {
        MemorySegment c = config.reinterpret(CUlaunchConfig.sizeof());
        if (streams().get(function, Function.class) == null || CUlaunchConfig.numAttrs(c) != 1) {
            return Cuda.CUDA_ERROR_INVALID_VALUE();
        }
        MemorySegment attribute = CUlaunchConfig.attrs(c).reinterpret(CUlaunchAttribute.sizeof());
        MemorySegment blocks = CUlaunchAttributeValue.clusterDim(CUlaunchAttribute.value(attribute));
        if (CUlaunchAttribute.id(attribute) != Cuda.CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION()
                || !clusters(blocks, CUlaunchConfig.gridDimX(c))) {
            return Cuda.CUDA_ERROR_INVALID_VALUE();
        }
        int processors = FakeDriver.current().attributes.get(Cuda.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT());
        return FakeDeviceApi.write(clusters, processors / 16 * (16 / CUlaunchAttributeValue.clusterDim.x(blocks)));
    }

    /** What a map says, in the order of the arguments: address, then dimensions, strides in bytes and box, each as many as it has. */
    static int cuTensorMapEncodeTiled(MemorySegment map, int type, int rank, MemorySegment address, MemorySegment dimensions,
            MemorySegment strides, MemorySegment box, MemorySegment elementStrides, int interleave, int swizzle, int promotion, int fill) {
        MemorySegment sizes = dimensions.reinterpret(8L * rank);
        MemorySegment steps = strides.reinterpret(8L * (rank - 1));
        MemorySegment boxes = box.reinterpret(4L * rank);
        if (map.address() % 64 != 0 || address.address() % 16 != 0 || rank < 1 || rank > 5) {
            return Cuda.CUDA_ERROR_INVALID_VALUE();
        }
        MemorySegment to = map.reinterpret(128).fill((byte) 0);
        to.setAtIndex(ValueLayout.JAVA_LONG, 0, address.address());
        for (int i = 0; i < rank; i++) {
            int extent = boxes.getAtIndex(ValueLayout.JAVA_INT, i);
            if (extent < 1 || extent > 256 || i > 0 && steps.getAtIndex(ValueLayout.JAVA_LONG, i - 1) % 16 != 0) {
                return Cuda.CUDA_ERROR_INVALID_VALUE();
            }
            to.setAtIndex(ValueLayout.JAVA_LONG, 1 + i, sizes.getAtIndex(ValueLayout.JAVA_LONG, i));
            to.setAtIndex(ValueLayout.JAVA_LONG, 1 + rank + i, i == 0 ? 0 : steps.getAtIndex(ValueLayout.JAVA_LONG, i - 1));
            to.setAtIndex(ValueLayout.JAVA_LONG, 1 + 2 * rank + i, extent);
        }
        return Cuda.CUDA_SUCCESS();
    }

    static int cuLaunchKernel(MemorySegment function, int gridX, int gridY, int gridZ, int blockX, int blockY, int blockZ, int shared,
            MemorySegment stream, MemorySegment parameters, MemorySegment extra) {
        Launch launch = new Launch("", gridX, gridY, gridZ, blockX, blockY, blockZ, shared, false, false, false, 1);
        return launch(function, launch, stream, parameters, extra);
    }

    static int cuLaunchKernelEx(MemorySegment config, MemorySegment function, MemorySegment parameters, MemorySegment extra) {
        MemorySegment c = config.reinterpret(CUlaunchConfig.sizeof());
        boolean programmatic = false;
        boolean cooperative = false;
        int cluster = 1;
        MemorySegment attributes = CUlaunchConfig.attrs(c).reinterpret(CUlaunchConfig.numAttrs(c) * CUlaunchAttribute.sizeof());
        for (int i = 0; i < CUlaunchConfig.numAttrs(c); i++) {
            MemorySegment attribute = CUlaunchAttribute.asSlice(attributes, i);
            MemorySegment value = CUlaunchAttribute.value(attribute);
            int id = CUlaunchAttribute.id(attribute);
            if (id == Cuda.CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION()) {
                programmatic = CUlaunchAttributeValue.programmaticStreamSerializationAllowed(value) != 0;
            } else if (id == Cuda.CU_LAUNCH_ATTRIBUTE_COOPERATIVE()) {
                cooperative = CUlaunchAttributeValue.cooperative(value) != 0;
            } else if (id == Cuda.CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION()) {
                MemorySegment blocks = CUlaunchAttributeValue.clusterDim(value);
                cluster = CUlaunchAttributeValue.clusterDim.x(blocks);
                if (!clusters(blocks, CUlaunchConfig.gridDimX(c))) {
                    return Cuda.CUDA_ERROR_INVALID_VALUE();
                }
            }
        }
        Launch launch = new Launch("", CUlaunchConfig.gridDimX(c), CUlaunchConfig.gridDimY(c), CUlaunchConfig.gridDimZ(c),
                CUlaunchConfig.blockDimX(c), CUlaunchConfig.blockDimY(c), CUlaunchConfig.blockDimZ(c), CUlaunchConfig.sharedMemBytes(c),
                false, programmatic, cooperative, cluster);
        return launch(function, launch, CUlaunchConfig.hStream(c), parameters, extra);
    }

    static int cuLaunchCooperativeKernel(MemorySegment function, int gridX, int gridY, int gridZ, int blockX, int blockY, int blockZ,
            int shared, MemorySegment stream, MemorySegment parameters) {
        Launch launch = new Launch("", gridX, gridY, gridZ, blockX, blockY, blockZ, shared, false, false, true, 1);
        return launch(function, launch, stream, parameters, MemorySegment.NULL);
    }

    private static int launch(MemorySegment function, Launch launch, MemorySegment stream, MemorySegment parameters,
            MemorySegment extra) {
        Function found = streams().get(function, Function.class);
        if (found == null) {
            return Cuda.CUDA_ERROR_INVALID_HANDLE();
        }
        int error = refusal(found, launch);
        if (error != Cuda.CUDA_SUCCESS()) {
            return error;
        }
        FakeKernel kernel = FakeDriver.current().kernels.get(found.name());
        List<MemorySegment> arguments = kernel == null ? List.of() : arguments(kernel, parameters, extra);
        return streams().issue(stream, graph -> {
            FakeDriver.current().launched(new Launch(found.name(), launch.gridX(), launch.gridY(), launch.gridZ(), launch.blockX(),
                    launch.blockY(), launch.blockZ(), launch.sharedBytes(), graph, launch.programmatic(), launch.cooperative(),
                    launch.cluster()));
            if (kernel != null) {
                kernel.code().accept(arguments);
            }
            return Cuda.CUDA_SUCCESS();
        });
    }

    /** Whether there can be clusters of these blocks: from compute capability 9.0 on, up to 8 along x, in a grid of whole clusters. */
    private static boolean clusters(MemorySegment blocks, int gridX) {
        int x = CUlaunchAttributeValue.clusterDim.x(blocks);
        boolean line = CUlaunchAttributeValue.clusterDim.y(blocks) == 1 && CUlaunchAttributeValue.clusterDim.z(blocks) == 1;
        int major = FakeDriver.current().attributes.get(Cuda.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR());
        return major >= 9 && line && x >= 1 && x <= 8 && gridX % x == 0;
    }

    /** What the driver refuses by the sizes alone. */
    private static int refusal(Function function, Launch launch) {
        if (Math.min(Math.min(launch.gridX(), launch.gridY()), launch.gridZ()) <= 0
                || Math.min(Math.min(launch.blockX(), launch.blockY()), launch.blockZ()) <= 0) {
            return Cuda.CUDA_ERROR_INVALID_VALUE();
        }
        var attributes = FakeDriver.current().attributes;
        int threads = attributes.get(Cuda.CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK());
        // More than the ordinary amount of shared memory has to be asked for, kernel by kernel.
        int shared = function.attributes().getOrDefault(Cuda.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES(),
                attributes.get(Cuda.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK()));
        boolean fits = (long) launch.blockX() * launch.blockY() * launch.blockZ() <= threads && launch.sharedBytes() <= shared;
        return fits ? Cuda.CUDA_SUCCESS() : Cuda.CUDA_ERROR_INVALID_VALUE();
    }

    /** Copies, because the driver, too, reads arguments when the launch is issued and never again. */
    private static List<MemorySegment> arguments(FakeKernel kernel, MemorySegment parameters, MemorySegment extra) {
        Arena arena = Arena.ofAuto();
        if (extra.address() != 0) {
            MemorySegment block = packed(extra);
            return List.of(arena.allocate(block.byteSize(), Long.BYTES).copyFrom(block));
        }
        MemorySegment pointers = parameters.reinterpret(kernel.sizes().size() * ValueLayout.ADDRESS.byteSize());
        List<MemorySegment> arguments = new ArrayList<>();
        for (int i = 0; i < kernel.sizes().size(); i++) {
            long bytes = kernel.sizes().get(i);
            MemorySegment argument = pointers.getAtIndex(ValueLayout.ADDRESS, i).reinterpret(bytes);
            arguments.add(arena.allocate(bytes, Long.BYTES).copyFrom(argument));
        }
        return arguments;
    }

    /** The block that a list of keys and values names. */
    private static MemorySegment packed(MemorySegment extra) {
        MemorySegment list = extra.reinterpret(Long.MAX_VALUE);
        MemorySegment block = MemorySegment.NULL;
        long bytes = 0;
        for (int i = 0;; i += 2) {
            long key = list.getAtIndex(ValueLayout.ADDRESS, i).address();
            if (key == Cuda.CU_LAUNCH_PARAM_END_AS_INT()) {
                return block.reinterpret(bytes);
            }
            MemorySegment value = list.getAtIndex(ValueLayout.ADDRESS, i + 1);
            if (key == Cuda.CU_LAUNCH_PARAM_BUFFER_POINTER_AS_INT()) {
                block = value;
            } else {
                bytes = value.reinterpret(Long.BYTES).get(ValueLayout.JAVA_LONG, 0);
            }
        }
    }

    private static FakeStreams streams() {
        return FakeDriver.current().streams;
    }
}
