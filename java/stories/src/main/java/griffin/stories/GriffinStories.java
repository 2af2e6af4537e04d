package griffin.stories;

import griffin.error.ModelFormatException;
import griffin.weights.ModelFiles;

/**
 * The embedded model: a small trained Griffin of 15 million parameters that writes children's stories. Its card, with origin, quality and
 * licence, is the README.md beside its files.
 */
public final class GriffinStories {

    private GriffinStories() {}

    /**
     * The model's files, in this library's jar. The jar stores them uncompressed, so the weights are mapped where they lie.
     *
     * @throws ModelFormatException if this class was not loaded from a jar or directory of the file system
     */
    public static ModelFiles files() {
        return ModelFiles.inJar(GriffinStories.class, "");
    }
}
