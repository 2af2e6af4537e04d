package griffin.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The committed kernels are those of the committed sources, by the manifest's hashes. Byte for byte: {@code cuda-kernels/build --check}. */
class CompiledKernelsTest {

    private static final Path ROOM = Path.of("../../cuda-kernels");
    private static final Pattern SOURCE = Pattern.compile("\"src/([^\"]+)\": \"([0-9a-f]{64})\"");
    private static final Pattern OUTPUT = Pattern.compile("\"([^\"]+\\.fatbin)\": \\{\\s*\"sha256\": \"([0-9a-f]{64})\"");

    @Test
    void sourcesAreThoseThatWereCompiled() throws Exception {
        assertEquals(Set.of(), differing(files("src", ""), listed(SOURCE)), "changed since compiled/ was made: run cuda-kernels/build");
    }

    @Test
    void outputsAreWhatTheManifestSays() throws Exception {
        assertEquals(Set.of(), differing(files("compiled", ".fatbin"), listed(OUTPUT)),
                "not what the manifest says: run cuda-kernels/build");
    }

    @Test
    void everySourceHasItsOutput() throws Exception {
        Map<String, String> outputs = files("compiled", ".fatbin");
        for (String source : files("src", ".cu").keySet()) {
            assertTrue(outputs.containsKey(source.replace(".cu", ".fatbin")), source + " is not in compiled/: run cuda-kernels/build");
        }
    }

    /** Names whose hashes differ or that only one of the two has. */
    private static Set<String> differing(Map<String, String> found, Map<String, String> listed) {
        assertTrue(listed.size() > 10, "the manifest lists only " + listed.keySet());
        Set<String> names = new TreeSet<>(found.keySet());
        names.addAll(listed.keySet());
        names.removeIf(name -> Objects.equals(found.get(name), listed.get(name)));
        return names;
    }

    private static Map<String, String> listed(Pattern entry) throws Exception {
        Map<String, String> found = new TreeMap<>();
        Matcher entries = entry.matcher(Files.readString(ROOM.resolve("compiled/manifest.json")));
        while (entries.find()) {
            found.put(entries.group(1), entries.group(2));
        }
        return found;
    }

    private static Map<String, String> files(String folder, String ending) throws Exception {
        Map<String, String> found = new TreeMap<>();
        try (Stream<Path> all = Files.list(ROOM.resolve(folder))) {
            for (Path file : all.filter(f -> f.toString().endsWith(ending)).toList()) {
                byte[] hash = MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file));
                found.put(file.getFileName().toString(), HexFormat.of().formatHex(hash));
            }
        }
        return found;
    }
}
