package griffin.backend.cuda;

import griffin.bindings.cuda.CUlaunchAttribute;
import griffin.bindings.cuda.CUlaunchAttributeValue;
import griffin.bindings.cuda.CUlaunchConfig;
import griffin.bindings.cuda.Cuda;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** One kernel with its arguments packed; only the grid, and the clusters that divide it, follow the step. */
final class Launch implements Call {

    /** Sets the grid for a step, and its clusters if any; a grid of no blocks means that there is nothing to do. */
    interface Geometry {
        void grid(Extent extent, Launch launch);
    }

    /** Most blocks along y and z. */
    static final int MOST_ROWS_OF_BLOCKS = 65535;

    private final CudaKernels.Kernel kernel;
    private final Geometry geometry;
    private final boolean overlap;
    private final MemorySegment config;
    private final MemorySegment dependence;
    private final MemorySegment clusterSize;
    private final MemorySegment parameters;
    private int blocks;
    private int cluster = 1;

    /** @param threads of a block, along x @param shared bytes of dynamic shared memory */
    Launch(CudaContext context, CudaKernels.Kernel kernel, Arguments arguments, int threads, int shared, Geometry geometry) {
        this(context, context.arena, kernel, arguments, threads, 1, shared, geometry);
    }

    /** @param arena of the launch's own memory, at least as long-lived as its use */
    Launch(CudaContext context, Arena arena, CudaKernels.Kernel kernel, Arguments arguments, int threadsX, int threadsY, int shared,
            Geometry geometry) {
        this.kernel = kernel;
        this.geometry = geometry;
        overlap = context.overlap;
        kernel.allowShared(shared);
        config = CUlaunchConfig.allocate(arena).fill((byte) 0);
        CUlaunchConfig.blockDimX(config, threadsX);
        CUlaunchConfig.blockDimY(config, threadsY);
        CUlaunchConfig.blockDimZ(config, 1);
        CUlaunchConfig.sharedMemBytes(config, shared);
        CUlaunchConfig.hStream(config, context.stream);
        MemorySegment attributes = CUlaunchAttribute.allocateArray(2, arena).fill((byte) 0);
        dependence = attribute(attributes, 0, Cuda.CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION());
        clusterSize = CUlaunchAttributeValue.clusterDim(attribute(attributes, 1, Cuda.CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION()));
        CUlaunchAttributeValue.clusterDim.y(clusterSize, 1);
        CUlaunchAttributeValue.clusterDim.z(clusterSize, 1);
        CUlaunchConfig.attrs(config, attributes);
        parameters = arguments.pointers(arena);
    }

    /** Where the value of an attribute lies, whose id is set. */
    private static MemorySegment attribute(MemorySegment attributes, int index, int id) {
        MemorySegment attribute = CUlaunchAttribute.asSlice(attributes, index);
        CUlaunchAttribute.id(attribute, id);
        return CUlaunchAttribute.value(attribute);
    }

    /** Issues it on a stream other than the context's. */
    Launch on(MemorySegment stream) {
        CUlaunchConfig.hStream(config, stream);
        return this;
    }

    void grid(long x, long y, long z) {
        blocks = (int) Math.min(Integer.MAX_VALUE, x * y * z);
        CUlaunchConfig.gridDimX(config, Math.toIntExact(x));
        CUlaunchConfig.gridDimY(config, (int) Math.min(y, MOST_ROWS_OF_BLOCKS));
        CUlaunchConfig.gridDimZ(config, (int) Math.min(z, MOST_ROWS_OF_BLOCKS));
    }

    /** Makes so many blocks of the grid, along x, a thread block cluster; the grid is of whole clusters. More than 1 only from Hopper on. */
    void clusters(int ofBlocks) {
        cluster = ofBlocks;
        CUlaunchAttributeValue.clusterDim.x(clusterSize, ofBlocks);
    }

    /** How many clusters of so many blocks the card runs at once: fewer than multiprocessors would allow, since GPCs differ. */
    int clustersAtOnce(int ofBlocks) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment attribute = CUlaunchAttribute.allocate(arena).fill((byte) 0);
            MemorySegment size = CUlaunchAttributeValue.clusterDim(attribute(attribute, 0, Cuda.CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION()));
            CUlaunchAttributeValue.clusterDim.x(size, ofBlocks);
            CUlaunchAttributeValue.clusterDim.y(size, 1);
            CUlaunchAttributeValue.clusterDim.z(size, 1);
            MemorySegment question = CUlaunchConfig.allocate(arena).copyFrom(config);
            CUlaunchConfig.gridDimX(question, ofBlocks);
            CUlaunchConfig.gridDimY(question, 1);
            CUlaunchConfig.gridDimZ(question, 1);
            CUlaunchConfig.attrs(question, attribute);
            CUlaunchConfig.numAttrs(question, 1);
            MemorySegment clusters = arena.allocate(ValueLayout.JAVA_INT);
            CudaErrors.check(Cuda.cuOccupancyMaxActiveClusters(clusters, kernel.handle(), question),
                    "cuOccupancyMaxActiveClusters of " + kernel.name());
            return clusters.get(ValueLayout.JAVA_INT, 0);
        }
    }

    @Override
    public void issue(Extent extent) {
        geometry.grid(extent, this);
        if (blocks == 0) {
            return;
        }
        boolean dependent = overlap && extent.dependent;
        CUlaunchAttributeValue.programmaticStreamSerializationAllowed(dependence, dependent ? 1 : 0);
        CUlaunchConfig.numAttrs(config, cluster > 1 ? 2 : dependent ? 1 : 0);
        int result = Cuda.cuLaunchKernelEx(config, kernel.handle(), parameters, MemorySegment.NULL);
        if (result != Cuda.CUDA_SUCCESS()) {
            CudaErrors.check(result, "cuLaunchKernelEx of " + kernel.name());
        }
        extent.dependent = true;
    }

    /** A / b, rounded up. */
    static int blocks(long a, int b) {
        return Math.toIntExact((a + b - 1) / b);
    }
}
