package griffin.backend.cpu;

import griffin.error.InvalidRequestException;

/** Which kernels a backend uses. {@code -Dgriffin.cpu.kernels=scalar|vector|auto} chooses; auto starts scalar ({@link AdaptiveKernels}). */
record KernelChoice(Kernels kernels, String description) {

    static final String PROPERTY = "griffin.cpu.kernels";

    /** What the property says, by default vectors as wide as the machine has, scalar without the vector module. */
    static KernelChoice choose() {
        String wanted = System.getProperty(PROPERTY, "auto");
        if (wanted.equals("scalar")) {
            return new KernelChoice(new ScalarKernels(), "no vectors (" + PROPERTY + "=scalar)");
        }
        if (!wanted.equals("auto") && !wanted.equals("vector")) {
            throw new InvalidRequestException("the system property " + PROPERTY + " must be scalar, vector or auto, not '" + wanted + "'");
        }
        if (ModuleLayer.boot().findModule("jdk.incubator.vector").isEmpty()) {
            return new KernelChoice(new ScalarKernels(), "no vectors (start Java with --add-modules jdk.incubator.vector)");
        }
        int bits = VectorWidth.FLOATS.vectorBitSize();
        return new KernelChoice(wanted.equals("vector") ? vectors(bits) : AdaptiveKernels.shared(), bits + "-bit vectors");
    }

    static Kernels vectors(int bits) {
        return switch (bits) {
            case 512 -> new Kernels512();
            case 256 -> new Kernels256();
            default -> new Kernels128();
        };
    }
}
