package griffin.backend.cuda;

import griffin.backend.DType;
import griffin.backend.MemoryNeed;
import griffin.error.DeviceMemoryException;
import java.util.ArrayList;
import java.util.List;

/** Whether a model fits before anything of it is loaded, and what would. */
final class MemoryPlan {

    /**
     * Modules, graphs and the driver's own needs for a model of some hundred launches; while weights are loaded, room to convert them in; later
     * some 20 MiB in which launches leave what others read: parts of attention, planes of sums, lists of sampling.
     */
    private static final long OVERHEAD = 256L << 20;
    private static final int LEAST_CHUNK = 64;

    private MemoryPlan() {}

    /** Bytes that a model takes: what it allocates itself, and what this backend keeps beside it. */
    static long bytes(MemoryNeed need, DType operands) {
        long gates = 2L * need.rows() * need.layout().lruWidth() * operands.bytes();
        return need.bytes(operands) + gates + need.layout().bytes() + CublasLtProducts.WORKSPACE_BYTES + OVERHEAD;
    }

    /** @throws DeviceMemoryException when it does not fit */
    static void require(MemoryNeed need, DType operands, String device, long free, long total) {
        long needed = bytes(need, operands);
        if (needed <= free) {
            return;
        }
        throw new DeviceMemoryException("the model needs " + mib(needed) + " on " + device + " (weights " + mib(need.weightBytes(operands))
                + " in " + CudaUpload.word(operands) + ", " + need.slots() + " sessions " + mib(need.stateBytes(operands)) + ", chunks of "
                + need.rows() + " tokens " + mib(bytes(need, operands) - need.weightBytes(operands) - need.stateBytes(operands))
                + " with all else) and " + mib(free) + " of " + mib(total) + " are free; " + advice(need, operands, free));
    }

    private static String advice(MemoryNeed need, DType operands, long free) {
        List<String> fits = new ArrayList<>();
        for (DType type : operands == DType.F32 ? List.of(DType.F32, DType.BF16) : List.of(DType.BF16)) {
            String found = largest(need, type, free);
            if (found != null) {
                fits.add(found);
            }
        }
        if (!fits.isEmpty()) {
            return "what would fit: " + String.join("; or ", fits);
        }
        return "nothing would fit: one session with chunks of " + LEAST_CHUNK + " tokens in bf16 needs "
                + mib(bytes(need.with(1, LEAST_CHUNK), DType.BF16))
                + "; close what else uses the card, take a larger one (--device cuda:1) or "
                + "--device cpu";
    }

    /** The largest chunk, then the most sessions, that fit in a type. */
    private static String largest(MemoryNeed need, DType type, long free) {
        for (int chunk = need.rows(); chunk >= Math.min(LEAST_CHUNK, need.rows()); chunk /= 2) {
            if (bytes(need.with(1, chunk), type) <= free) {
                int slots = need.slots();
                while (bytes(need.with(slots, chunk), type) > free) {
                    slots--;
                }
                return "--compute " + CudaUpload.word(type) + " --chunk " + chunk + " with " + slots
                        + (slots == 1 ? " session" : " sessions");
            }
        }
        return null;
    }

    private static String mib(long bytes) {
        return (bytes >> 20) + " MiB";
    }
}
