package griffin;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalLong;

/**
 * Memory that programs can get without any of them being pushed out, files that are kept only because there is room included. Linux
 * tells; other systems' numbers of free memory leave out such files and are next to nothing on a healthy machine, so there nothing is
 * known.
 */
final class FreeMemory {

    private static final String AVAILABLE = "MemAvailable:";

    private FreeMemory() {}

    /** Bytes, also not more than a container may have. */
    static OptionalLong read() {
        return read(Path.of("/"));
    }

    /** The same below another root. */
    static OptionalLong read(Path root) {
        OptionalLong available = OptionalLong.empty();
        for (String line : text(root.resolve("proc/meminfo")).lines().toList()) {
            if (line.startsWith(AVAILABLE)) {
                available = number(line.substring(AVAILABLE.length()).replace("kB", ""));
            }
        }
        if (available.isEmpty()) {
            return available;
        }
        long least = available.getAsLong() << 10;
        for (String limit : new String[] {"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
            least = Math.min(least, number(text(root.resolve(limit))).orElse(Long.MAX_VALUE)); // "max" is no number
        }
        return OptionalLong.of(least);
    }

    private static String text(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            return "";
        }
    }

    private static OptionalLong number(String text) {
        try {
            return OptionalLong.of(Long.parseLong(text.strip()));
        } catch (NumberFormatException e) {
            return OptionalLong.empty();
        }
    }
}
