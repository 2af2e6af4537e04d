package griffin;

import griffin.session.SavedStates;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;

/** Prompts that share beginnings, and snapshots for them that tell what they are of; no model is needed. */
final class SamplePrefixes {

    static final byte[] IDENTITY = identity(1);
    private static final int VOCABULARY = 40;

    private SamplePrefixes() {}

    static byte[] identity(long seed) {
        byte[] identity = new byte[32];
        new Random(seed).nextBytes(identity);
        return identity;
    }

    /** Ids that agree with many others for a while: few first tokens, of which each is followed by one of two. */
    static int[] ids(Random random, int most) {
        int[] ids = new int[1 + random.nextInt(most)];
        int branch = random.nextInt(3);
        for (int i = 0; i < ids.length; i++) {
            branch = random.nextInt(6) == 0 ? 2 * branch + 1 : 2 * branch;
            ids[i] = Math.floorMod(branch * 7 + i, VOCABULARY);
        }
        return ids;
    }

    /** The snapshot of a prefix: the same for the same prefix and no other. */
    static byte[] snapshot(byte[] identity, int[] ids, int length) {
        int seed = 1;
        for (int i = 0; i < length; i++) {
            seed = 31 * seed + ids[i];
        }
        Random random = new Random(seed);
        return SavedStates.version1(identity, SavedStates.SMALL, ids, length, i -> Float.floatToRawIntBits(random.nextFloat()));
    }

    static float[] logits(int[] ids, int length) {
        return new float[] {length, ids[length - 1], 0.5f};
    }

    /** All files of prefixes in a directory, of whatever model. */
    static List<Path> files(Path directory) {
        List<Path> files = new ArrayList<>();
        try (Stream<Path> models = Files.list(directory)) {
            for (Path model : models.filter(Files::isDirectory).sorted().toList()) {
                try (Stream<Path> inside = Files.list(model)) { // does not look at files, which may vanish meanwhile
                    inside.filter(file -> file.toString().endsWith(".prefix")).sorted().forEach(files::add);
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return files;
    }

    static long bytes(Path directory) {
        return files(directory).stream().mapToLong(file -> file.toFile().length()).sum();
    }
}
