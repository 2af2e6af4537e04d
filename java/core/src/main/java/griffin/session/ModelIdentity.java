package griffin.session;

import griffin.model.GriffinConfig;
import griffin.weights.Tensor;
import griffin.weights.WeightFiles;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.TreeSet;

/** A fingerprint of a model: what tells its states from another model's. */
final class ModelIdentity {

    private static final int SAMPLE_BYTES = 64;

    private ModelIdentity() {}

    /** One line each; what only says where texts begin and end is no part of it, as a state does not depend on it. */
    private static String settings(GriffinConfig c) {
        return String.join("\n", "vocabulary " + c.vocabulary(), "width " + c.width(), "lru " + c.lruWidth(), "mlp " + c.mlpWidth(),
                "heads " + c.heads(), "head " + c.headWidth(), "window " + c.window(), "layers " + c.layers(), "taps " + c.convTaps(),
                "kinds " + c.blockKinds(), "epsilon " + Float.floatToIntBits(c.normEpsilon()),
                "cap " + Float.floatToIntBits(c.logitsSoftCap()), "theta " + Float.floatToIntBits(c.ropeTheta()),
                "rotary " + c.rotaryWidth(), "scaled " + c.scaledEmbedding(), "tied " + c.tied(), "");
    }

    /**
     * SHA-256 over the numbers of the configuration that decide what is computed, and, for every tensor in order of name, its name, dtype,
     * shape and 64 bytes at its beginning, middle and end: all weights of a large model would take seconds to read, and a fine-tuned copy differs everywhere.
     */
    static byte[] of(GriffinConfig config, WeightFiles files) {
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            digest.update(settings(config).getBytes(StandardCharsets.UTF_8));
            for (String name : new TreeSet<>(files.names())) {
                Tensor tensor = files.find(name).orElseThrow();
                digest.update((name + tensor.dtype()).getBytes(StandardCharsets.UTF_8));
                for (long size : tensor.shape()) {
                    digest.update(ByteBuffer.allocate(8).putLong(size).array());
                }
                MemorySegment data = tensor.data();
                long sample = Math.min(SAMPLE_BYTES, data.byteSize());
                for (long at : new long[] {0, (data.byteSize() - sample) / 2, data.byteSize() - sample}) {
                    digest.update(data.asSlice(at, sample).toArray(ValueLayout.JAVA_BYTE));
                }
            }
            return digest.digest();
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }
}
