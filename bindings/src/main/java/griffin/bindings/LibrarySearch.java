package griffin.bindings;

import griffin.bindings.LibraryProbe.Attempt;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Opens the first library of a list that can be opened. */
final class LibrarySearch {

    private LibrarySearch() {}

    static LibraryProbe open(List<String> candidates) {
        if (candidates.isEmpty()) {
            String system = System.getProperty("os.name") + " " + System.getProperty("os.arch");
            return new LibraryProbe.NotFound(List.of(new Attempt("CUDA", "exists on Linux and Windows only, this is " + system)));
        }
        List<Attempt> attempts = new ArrayList<>();
        for (String candidate : candidates) {
            try {
                // Never closed: generated classes keep addresses of its functions for ever.
                return new LibraryProbe.Found(candidate, SymbolLookup.libraryLookup(candidate, Arena.global()));
            } catch (IllegalArgumentException e) {
                attempts.add(new Attempt(candidate, reason(candidate)));
            }
        }
        return new LibraryProbe.NotFound(attempts);
    }

    /** The JDK passes on nothing of the loader's own message, so the reason is what can be seen from here. */
    private static String reason(String candidate) {
        try {
            Path path = Path.of(candidate);
            if (path.getNameCount() == 1 && !path.isAbsolute()) {
                return "not found by the system's loader, or not loadable";
            }
            if (!Files.exists(path)) {
                return "no such file";
            }
            return Files.isRegularFile(path)
                    ? "the file is there but could not be loaded (another architecture, or a library it needs is missing)"
                    : "not a file";
        } catch (InvalidPathException e) {
            return "not a valid path";
        }
    }
}
