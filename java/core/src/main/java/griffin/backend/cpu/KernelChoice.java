package griffin.backend.cpu;

import java.util.function.Consumer;

/** Which kernels a backend starts with, and which it goes over to. */
record KernelChoice(Kernels first, Kernels fast, String description) {

    /** The widest vector kernels of this machine, or the scalar ones where the vector module is absent. */
    static KernelChoice choose() {
        if (ModuleLayer.boot().findModule("jdk.incubator.vector").isEmpty()) {
            return new KernelChoice(new ScalarKernels(), null, "no vectors (start Java with --add-modules jdk.incubator.vector)");
        }
        int bits = VectorWidth.FLOATS.vectorBitSize();
        return new KernelChoice(vectors(bits), null, bits + "-bit vectors");
    }

    static Kernels vectors(int bits) {
        return switch (bits) {
            case 512 -> new Kernels512();
            case 256 -> new Kernels256();
            default -> new Kernels128();
        };
    }

    void whenReady(Consumer<Kernels> use) {
        if (fast != null) {
            use.accept(fast);
        }
    }
}
