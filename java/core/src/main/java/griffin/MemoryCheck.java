package griffin;

import griffin.backend.Backend;
import griffin.backend.DType;
import griffin.backend.MemoryNeed;
import griffin.backend.cpu.CpuBackend;
import griffin.model.GriffinConfig;
import griffin.model.GriffinModel;
import griffin.weights.WeightFiles;

/** Whether a model with its sessions fits, asked before anything is loaded. */
final class MemoryCheck {

    private MemoryCheck() {}

    /**
     * Beside states and buffers the CPU backend needs heap for its threads and for gates that it widens.
     *
     * @throws griffin.error.DeviceMemoryException with what is needed, what there is and what would fit
     */
    static void require(Backend backend, GriffinConfig config, WeightFiles weights, int sessions, int chunk) {
        MemoryNeed need = GriffinModel.memoryNeed(config, sessions, chunk, 1);
        if (backend instanceof CpuBackend cpu) {
            boolean wideGates = weights.names().stream().filter(name -> name.endsWith("gate_weight"))
                    .anyMatch(name -> weights.find(name).orElseThrow().dtype() != DType.BF16);
            int widest = Math.max(Math.max(config.width(), config.lruWidth()),
                    Math.max(config.mlpWidth(), config.heads() * config.headWidth()));
            cpu.requireMemory(need, cpu.heapBytes(need.layout(), config.heads(), widest, wideGates));
        } else {
            backend.requireMemory(need);
        }
    }
}
