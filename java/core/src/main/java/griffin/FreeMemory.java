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
        for (String line : (":memory:/\n::/\n" + text(root.resolve("proc/self/cgroup"))).lines().toList()) {
            String[] words = line.split(":", 3); // number:controllers:/path, no controllers in version 2
            if (words.length == 3 && words[1].isEmpty()) {
                least = Math.min(least, room(root.resolve("sys/fs/cgroup" + words[2]), "memory.max", "memory.current", "inactive_file"));
            } else if (words.length == 3 && words[1].equals("memory")) {
                least = Math.min(least, room(root.resolve("sys/fs/cgroup/memory" + words[2]), "memory.limit_in_bytes",
                        "memory.usage_in_bytes", "total_inactive_file"));
            }
        }
        return OptionalLong.of(least);
    }

    /** What a container may still take: its limit less what it has, files that can be dropped left out. */
    private static long room(Path group, String limit, String usage, String droppable) {
        OptionalLong most = number(text(group.resolve(limit))); // "max" is no number
        if (most.isEmpty()) {
            return Long.MAX_VALUE;
        }
        long files = text(group.resolve("memory.stat")).lines().filter(line -> line.startsWith(droppable + " "))
                .mapToLong(line -> number(line.substring(droppable.length())).orElse(0)).sum();
        return Math.max(0, most.getAsLong() - Math.max(0, number(text(group.resolve(usage))).orElse(0) - files));
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
