package griffin.backend.cuda;

import griffin.bindings.cuda.Cuda;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** What {@code --stats} tells: the share of the card's read bandwidth that decoding uses, and its memory. */
final class Statistics {

    /** Far more than any cache. */
    private static final long PROBE_BYTES = 4L << 30;
    private static final long LEAST_PROBE_BYTES = 256L << 20;
    private static final int PROBE_RUNS = 5;

    private final Set<CudaWeight> embedded = new HashSet<>();
    private final Set<CudaWeight> multiplied = new HashSet<>();
    private long weightBytes;
    private double bandwidth;

    void loaded(CudaWeight weight) {
        weightBytes += weight.bytes();
    }

    void embedded(CudaWeight table) {
        embedded.add(table);
    }

    void multiplied(CudaWeight table) {
        multiplied.add(table);
    }

    /** Bytes of weights that a token reads: all but a table of which only a row is looked up. */
    private long bytesPerToken() {
        return weightBytes - embedded.stream().filter(table -> !multiplied.contains(table)).mapToLong(CudaWeight::bytes).sum();
    }

    Map<String, String> of(CudaContext context, CudaMemory memory, Lowering lowering, double tokensPerSecond) {
        Map<String, String> out = new LinkedHashMap<>();
        double rate = tokensPerSecond * bytesPerToken();
        long free = context.freeMemory();
        double read = readBandwidth(context, memory, lowering, free);
        out.put("weights read", String.format(Locale.ROOT, "%.2f GB a token, %.0f GB/s", bytesPerToken() / 1e9, rate / 1e9));
        if (read > 0) {
            out.put("share of the measured read bandwidth", String.format(Locale.ROOT, "%.2f of %.0f GB/s", rate / read, read / 1e9));
        }
        out.put("memory", String.format(Locale.ROOT, "%d of %d MiB of the card in use", context.device.memory() - free >> 20,
                context.device.memory() >> 20));
        return out;
    }

    /** Bytes a second of a plain read; 0 where there is no room to measure. Measured once. */
    private double readBandwidth(CudaContext context, CudaMemory memory, Lowering lowering, long free) {
        if (bandwidth == 0 && free / 2 >= LEAST_PROBE_BYTES) {
            long bytes = Math.min(PROBE_BYTES, free / 2) / 16 * 16;
            long data = memory.allocate(bytes, "measuring the read bandwidth");
            long sums = memory.allocate(4L * ReadProbe.blocks(context), "measuring the read bandwidth");
            try {
                bandwidth = bytes / seconds(context, ReadProbe.launch(context, lowering.kernels, data, bytes, sums));
            } finally {
                memory.free(data);
                memory.free(sums);
            }
        }
        return bandwidth;
    }

    /** The fastest of a few runs. */
    private static double seconds(CudaContext context, Launch call) {
        double best = Double.MAX_VALUE;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment[] events = new MemorySegment[2];
            for (int i = 0; i < 2; i++) {
                MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
                CudaErrors.check(Cuda.cuEventCreate(out, Cuda.CU_EVENT_DEFAULT()), "cuEventCreate");
                events[i] = out.get(ValueLayout.ADDRESS, 0);
            }
            MemorySegment milliseconds = arena.allocate(ValueLayout.JAVA_FLOAT);
            for (int run = 0; run < PROBE_RUNS; run++) {
                CudaErrors.check(Cuda.cuEventRecord(events[0], context.stream), "cuEventRecord");
                call.issue(new Extent());
                CudaErrors.check(Cuda.cuEventRecord(events[1], context.stream), "cuEventRecord");
                CudaErrors.check(Cuda.cuEventSynchronize(events[1]), "measuring the read bandwidth");
                CudaErrors.check(Cuda.cuEventElapsedTime(milliseconds, events[0], events[1]), "cuEventElapsedTime");
                best = Math.min(best, milliseconds.get(ValueLayout.JAVA_FLOAT, 0) / 1e3);
            }
            Cuda.cuEventDestroy_v2(events[0]);
            Cuda.cuEventDestroy_v2(events[1]);
        }
        return best;
    }
}
