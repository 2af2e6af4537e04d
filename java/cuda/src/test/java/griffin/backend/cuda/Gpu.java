package griffin.backend.cuda;

import griffin.backend.Backend;
import griffin.backend.BackendProvider.Found;
import griffin.backend.DType;
import java.util.List;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Assumptions;

/** The GPU that tests run on. Without one they report themselves skipped, or failed where {@code -Dgriffin.gpu.required=true} says so. */
public final class Gpu {

    private Gpu() {}

    /** Opens it with the switches of the system properties. */
    public static Backend open(DType operands) {
        return open(operands, CudaSettings.ofSystem());
    }

    /** Opens it without cuBLASLt, as a machine with nothing but a driver has it. */
    public static Backend withoutCublas(DType operands) {
        return open(operands, CudaSettings.ofSystem().withCublas(false));
    }

    /** Opens it with kernels launched one by one or in graphs, fused or not. */
    public static Backend open(DType operands, boolean graphs, boolean fusions) {
        return open(operands, CudaSettings.ofSystem().withGraphs(graphs).withFusions(fusions));
    }

    private static Backend open(DType operands, CudaSettings settings) {
        require();
        return new CudaBackend(0, operands, settings, notice -> {});
    }

    /** Skips the test, or fails it, where there is no GPU. */
    public static void require() {
        List<Found> found = CudaDriver.find();
        if (!found.getFirst().usable()) {
            if (Boolean.getBoolean("griffin.gpu.required")) {
                Assertions.fail("a GPU is required: " + found.getFirst().detail());
            }
            Assumptions.abort("no GPU: " + found.getFirst().detail());
        }
    }
}
