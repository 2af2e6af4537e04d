package griffin.bindings;

import java.lang.foreign.SymbolLookup;
import java.util.List;
import java.util.stream.Collectors;

/** Whether a native library is there: a value, because a machine without it is nothing unusual. */
public sealed interface LibraryProbe {

    /**
     * The library was opened.
     *
     * @param library the name or path under which it was found
     * @param symbols its functions; valid until the process ends
     */
    record Found(String library, SymbolLookup symbols) implements LibraryProbe {

        @Override
        public List<String> missing(List<String> names) {
            return names.stream().filter(name -> symbols.find(name).isEmpty()).toList();
        }
    }

    /**
     * No candidate could be opened.
     *
     * @param attempts what was tried, in order; never empty
     */
    record NotFound(List<Attempt> attempts) implements LibraryProbe {

        /** Copies the list. */
        public NotFound {
            attempts = List.copyOf(attempts);
        }

        @Override
        public List<String> missing(List<String> names) {
            return List.copyOf(names);
        }

        /** All attempts with their reasons, for a message: {@code "a: reason; b: reason"}. */
        public String reasons() {
            return attempts.stream().map(attempt -> attempt.candidate() + ": " + attempt.reason()).collect(Collectors.joining("; "));
        }
    }

    /**
     * One candidate that could not be opened.
     *
     * @param candidate a name for the system's loader, or a path
     * @param reason    why not
     */
    record Attempt(String candidate, String reason) {}

    /**
     * Which of the named functions the library lacks, in the given order: an old driver lacks the newest ones. A generated method for a
     * missing function ends in a linkage error, so ask before the first call.
     */
    List<String> missing(List<String> names);
}
