package griffin;

import griffin.backend.Backend;
import griffin.backend.DType;
import griffin.backend.MemoryNeed;
import griffin.backend.cpu.CpuBackend;
import griffin.error.DeviceMemoryException;
import griffin.model.GriffinConfig;
import griffin.model.GriffinModel;
import griffin.weights.WeightFiles;

/** What a model with its sessions takes, asked before anything is loaded: whether it fits, and how many sessions a budget has room for. */
final class MemoryCheck {

    private final Backend backend;
    private final GriffinConfig config;
    private final WeightFiles weights;
    private final int chunk;

    MemoryCheck(Backend backend, GriffinConfig config, WeightFiles weights, int chunk) {
        this.backend = backend;
        this.config = config;
        this.weights = weights;
        this.chunk = chunk;
    }

    /** Rows of a step: a chunk of prompts, and one row of each sequence that decodes beside them. */
    static int rows(int chunk, int parallel) {
        return chunk + parallel - 1;
    }

    /**
     * Beside states and buffers the CPU backend needs heap for its threads and for gates that it widens.
     *
     * @throws DeviceMemoryException with what is needed, what there is and what would fit
     */
    void require(int sessions, int parallel) {
        MemoryNeed need = need(sessions, parallel);
        if (backend instanceof CpuBackend cpu) {
            cpu.requireMemory(need, heapBytes(cpu, need));
        } else {
            backend.requireMemory(need);
        }
    }

    /**
     * The most sessions that fit in {@code budget} bytes beside the weights, the buffers of a step and the scrap slot.
     *
     * @throws DeviceMemoryException with the plan, when there is room for none
     */
    int sessions(long budget, int parallel) {
        MemoryNeed one = need(1, parallel);
        DType operands = backend.operandType();
        // The CPU multiplies the weights as they are in their files, mapped or copied.
        long weightBytes = backend instanceof CpuBackend ? weights.bytes() : one.weightBytes(operands);
        long buffers = one.workspaceBytes(operands) + (backend instanceof CpuBackend cpu ? heapBytes(cpu, one) : 0);
        long slot = one.stateBytes(operands) / 2;
        long fit = (budget - weightBytes - buffers - slot) / slot;
        if (fit < 1) {
            throw new DeviceMemoryException("a memory budget of " + mib(budget) + " has room for no session of this model: weights "
                    + mib(weightBytes) + ", buffers " + mib(buffers) + " (chunks of " + chunk + " tokens, " + parallel
                    + " sequences at once), and " + mib(slot) + " for each session and one more; the least is "
                    + mib(weightBytes + buffers + 2 * slot) + ": allow more, or ask for smaller chunks or fewer sequences at once");
        }
        return (int) Math.min(fit, Griffin.MOST_SESSIONS);
    }

    private MemoryNeed need(int sessions, int parallel) {
        return GriffinModel.memoryNeed(config, sessions, rows(chunk, parallel), parallel);
    }

    private long heapBytes(CpuBackend cpu, MemoryNeed need) {
        boolean wideGates = weights.names().stream().filter(name -> name.endsWith("gate_weight"))
                .anyMatch(name -> weights.find(name).orElseThrow().dtype() != DType.BF16);
        int widest = Math.max(Math.max(config.width(), config.lruWidth()),
                Math.max(config.mlpWidth(), config.heads() * config.headWidth()));
        return cpu.heapBytes(need.layout(), config.heads(), widest, wideGates);
    }

    private static String mib(long bytes) {
        return (bytes + (1 << 20) - 1 >> 20) + " MiB";
    }
}
