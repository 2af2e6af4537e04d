package griffin;

import griffin.weights.ModelFiles;
import java.nio.file.Path;

/** Model directories that tests find by path, from the module's folder. */
final class TestModels {

    /** The embedded model: trained, with a tokenizer, window 256. */
    static final Path STORIES = Path.of("../stories/src/main/resources/griffin/stories");
    /** Random weights, no tokenizer, window 8, vocabulary 97. */
    static final Path TINY = Path.of("src/test/resources/golden/tiny-a");
    /** Another such model. */
    static final Path OTHER = Path.of("src/test/resources/golden/tiny-b");

    private TestModels() {}

    static Griffin open(Path directory, int chunk) {
        return Griffin.builder(ModelFiles.of(directory)).device("cpu").chunk(chunk).sessions(6).open();
    }
}
