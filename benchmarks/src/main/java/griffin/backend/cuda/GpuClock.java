package griffin.backend.cuda;

import griffin.bindings.cuda.Cuda;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/** Times work on a device by its own events. */
final class GpuClock {

    private static final int RUNS = 10;
    private static final int WARM_UP = 2;

    private GpuClock() {}

    /** Seconds of the fastest of several runs after some to warm up, by the device's events. */
    static double fastest(CudaContext context, Runnable work) {
        double best = Double.MAX_VALUE;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment start = event(arena);
            MemorySegment end = event(arena);
            MemorySegment milliseconds = arena.allocate(ValueLayout.JAVA_FLOAT);
            for (int run = 0; run < RUNS + WARM_UP; run++) {
                CudaErrors.check(Cuda.cuEventRecord(start, context.stream), "cuEventRecord");
                work.run();
                CudaErrors.check(Cuda.cuEventRecord(end, context.stream), "cuEventRecord");
                CudaErrors.check(Cuda.cuEventSynchronize(end), "a probe");
                CudaErrors.check(Cuda.cuEventElapsedTime(milliseconds, start, end), "cuEventElapsedTime");
                if (run >= WARM_UP) {
                    best = Math.min(best, milliseconds.get(ValueLayout.JAVA_FLOAT, 0) / 1e3);
                }
            }
            Cuda.cuEventDestroy_v2(start);
            Cuda.cuEventDestroy_v2(end);
        }
        return best;
    }

    /** Seconds of each call where it stands among the others: the medians of several runs, by events between them. */
    static double[] laps(CudaContext context, Extent extent, Call... calls) {
        double[][] seconds = new double[calls.length][RUNS];
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment[] events = new MemorySegment[calls.length + 1];
            Arrays.setAll(events, i -> event(arena));
            MemorySegment milliseconds = arena.allocate(ValueLayout.JAVA_FLOAT);
            for (int run = -WARM_UP; run < RUNS; run++) {
                CudaErrors.check(Cuda.cuEventRecord(events[0], context.stream), "cuEventRecord");
                for (int i = 0; i < calls.length; i++) {
                    calls[i].issue(extent);
                    CudaErrors.check(Cuda.cuEventRecord(events[i + 1], context.stream), "cuEventRecord");
                }
                CudaErrors.check(Cuda.cuEventSynchronize(events[calls.length]), "a probe");
                for (int i = 0; run >= 0 && i < calls.length; i++) {
                    CudaErrors.check(Cuda.cuEventElapsedTime(milliseconds, events[i], events[i + 1]), "cuEventElapsedTime");
                    seconds[i][run] = milliseconds.get(ValueLayout.JAVA_FLOAT, 0) / 1e3;
                }
            }
            for (MemorySegment event : events) {
                Cuda.cuEventDestroy_v2(event);
            }
        }
        return Arrays.stream(seconds).mapToDouble(of -> Arrays.stream(of).sorted().toArray()[RUNS / 2]).toArray();
    }

    private static MemorySegment event(Arena arena) {
        MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
        CudaErrors.check(Cuda.cuEventCreate(out, Cuda.CU_EVENT_DEFAULT()), "cuEventCreate");
        return out.get(ValueLayout.ADDRESS, 0);
    }
}
