package griffin.cli;

import java.util.Iterator;
import java.util.List;

/** The words that an option or argument takes, for its help, its messages and the shell's completion. */
abstract class Words implements Iterable<String> {

    private final List<String> words;

    Words(String... words) {
        this(List.of(words));
    }

    Words(List<String> words) {
        this.words = words;
    }

    @Override
    public final Iterator<String> iterator() {
        return words.iterator();
    }
}
