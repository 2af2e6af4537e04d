package griffin.backend.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/** The vector width in use: the processor's preferred one, or that of {@code -Dgriffin.cpu.vectorBits=128|256|512} (for tests). */
final class VectorWidth {

    static final VectorSpecies<Float> FLOATS = choose();

    private VectorWidth() {}

    private static VectorSpecies<Float> choose() {
        return switch (Integer.getInteger("griffin.cpu.vectorBits", FloatVector.SPECIES_PREFERRED.vectorBitSize())) {
            case 512 -> FloatVector.SPECIES_512;
            case 256 -> FloatVector.SPECIES_256;
            default -> FloatVector.SPECIES_128;
        };
    }
}
