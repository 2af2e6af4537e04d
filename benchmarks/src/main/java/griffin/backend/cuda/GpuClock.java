package griffin.backend.cuda;

import griffin.bindings.cuda.Cuda;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Times work on a device by its own events. */
final class GpuClock {

    private static final int RUNS = 10;

    private GpuClock() {}

    /** Seconds of the fastest of several runs after two to warm up, by the device's events. */
    static double fastest(CudaContext context, Runnable work) {
        double best = Double.MAX_VALUE;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment start = event(arena);
            MemorySegment end = event(arena);
            MemorySegment milliseconds = arena.allocate(ValueLayout.JAVA_FLOAT);
            for (int run = 0; run < RUNS + 2; run++) {
                CudaErrors.check(Cuda.cuEventRecord(start, context.stream), "cuEventRecord");
                work.run();
                CudaErrors.check(Cuda.cuEventRecord(end, context.stream), "cuEventRecord");
                CudaErrors.check(Cuda.cuEventSynchronize(end), "a probe");
                CudaErrors.check(Cuda.cuEventElapsedTime(milliseconds, start, end), "cuEventElapsedTime");
                if (run >= 2) {
                    best = Math.min(best, milliseconds.get(ValueLayout.JAVA_FLOAT, 0) / 1e3);
                }
            }
            Cuda.cuEventDestroy_v2(start);
            Cuda.cuEventDestroy_v2(end);
        }
        return best;
    }

    private static MemorySegment event(Arena arena) {
        MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
        CudaErrors.check(Cuda.cuEventCreate(out, Cuda.CU_EVENT_DEFAULT()), "cuEventCreate");
        return out.get(ValueLayout.ADDRESS, 0);
    }
}
