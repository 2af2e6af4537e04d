package griffin;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassModel;
import java.lang.classfile.constantpool.ClassEntry;
import java.lang.classfile.constantpool.PoolEntry;
import java.lang.classfile.constantpool.Utf8Entry;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Dependencies between packages point one way; read from the compiled classes, so nothing a source may hide escapes. */
class ArchitectureTest {

    private static final Path CLASSES = Path.of("target/classes");
    /** What each package may see beside itself and {@code griffin.error}. A package that is not listed fails the test. */
    private static final Map<String, Set<String>> MAY_SEE = Map.ofEntries(
            Map.entry("griffin.error", Set.of()),
            Map.entry("griffin.sampling", Set.of()),
            Map.entry("griffin.backend", Set.of("griffin.sampling")),
            Map.entry("griffin.backend.host", Set.of("griffin.backend", "griffin.sampling")),
            Map.entry("griffin.backend.reference", Set.of("griffin.backend", "griffin.backend.host", "griffin.sampling")),
            Map.entry("griffin.backend.cpu", Set.of("griffin.backend", "griffin.backend.host", "griffin.sampling")),
            Map.entry("griffin.io", Set.of()),
            Map.entry("griffin.json", Set.of("griffin.io")),
            Map.entry("griffin.weights", Set.of("griffin.backend", "griffin.io", "griffin.json")),
            Map.entry("griffin.tokenizer", Set.of("griffin.json")),
            Map.entry("griffin.model", Set.of("griffin.backend", "griffin.json", "griffin.weights", "griffin.sampling")),
            Map.entry("griffin.session", Set.of("griffin.io", "griffin.model", "griffin.backend", "griffin.weights", "griffin.sampling")),
            Map.entry("griffin.cache", Set.of("griffin.io")),
            Map.entry("griffin.text",
                    Set.of("griffin.session", "griffin.model", "griffin.backend", "griffin.weights", "griffin.sampling",
                            "griffin.tokenizer")));
    /** Packages above all of these: the public face, which may see everything. */
    private static final Set<String> TOP = Set.of("griffin");
    private static final Pattern TYPE = Pattern.compile("L(griffin/[\\w/$]+);");

    @Test
    void dependenciesPointOneWay() throws IOException {
        Map<String, Set<String>> found = dependencies();
        assertTrue(found.containsKey("griffin.model") && found.get("griffin.model").contains("griffin.backend"),
                "the scan sees dependencies: " + found);
        Map<String, Set<String>> forbidden = new TreeMap<>();
        found.forEach((from, seen) -> {
            if (!TOP.contains(from)) {
                Set<String> wrong = new TreeSet<>(seen);
                wrong.removeAll(MAY_SEE.getOrDefault(from, Set.of()));
                wrong.remove("griffin.error");
                if (!wrong.isEmpty() || !MAY_SEE.containsKey(from)) {
                    forbidden.put(from, wrong);
                }
            }
        });
        assertEquals(Map.of(), forbidden, "packages that see what they must not (an empty set: the package is not in this test's table)");
    }

    /** Files are little-endian; a layout in the machine's own order would read them wrongly where nobody tests it. */
    @Test
    void everyUnalignedLayoutHasAByteOrder() throws IOException {
        Pattern layout = Pattern.compile("JAVA_(SHORT|CHAR|INT|LONG|FLOAT|DOUBLE)_UNALIGNED(?!\\.withOrder\\()");
        Set<String> wrong = new TreeSet<>();
        int files = 0;
        try (Stream<Path> sources = Files.walk(Path.of("src/main/java"))) {
            for (Path file : sources.filter(path -> path.toString().endsWith(".java")).toList()) {
                files++;
                if (layout.matcher(Files.readString(file)).find()) {
                    wrong.add(file.toString());
                }
            }
        }
        assertTrue(files > 100, "the sources are here");
        assertEquals(Set.of(), wrong);
    }

    @Test
    void theTableItselfHasNoCycle() {
        for (String from : MAY_SEE.keySet()) {
            assertTrue(!reachable(from, new TreeSet<>()).contains(from), from + " reaches itself");
        }
    }

    @Test
    void theLibraryNeedsTheJdkAlone() throws IOException {
        Set<String> foreign = new TreeSet<>();
        for (Path file : classFiles()) {
            for (PoolEntry entry : parse(file).constantPool()) {
                if (entry instanceof ClassEntry type && !type.asInternalName().matches("\\[*(L?(java|jdk|griffin)/.*|[BCDFIJSZ])")) {
                    foreign.add(CLASSES.relativize(file) + " uses " + type.asInternalName());
                }
            }
        }
        assertEquals(Set.of(), foreign);
    }

    private static Set<String> reachable(String from, Set<String> seen) {
        for (String next : MAY_SEE.getOrDefault(from, Set.of())) {
            if (seen.add(next)) {
                reachable(next, seen);
            }
        }
        return seen;
    }

    private static Map<String, Set<String>> dependencies() throws IOException {
        Map<String, Set<String>> found = new TreeMap<>();
        for (Path file : classFiles()) {
            ClassModel model = parse(file);
            String from = packageOf(model.thisClass().asInternalName());
            Set<String> seen = found.computeIfAbsent(from, key -> new TreeSet<>());
            for (PoolEntry entry : model.constantPool()) {
                if (entry instanceof ClassEntry type && type.asInternalName().startsWith("griffin/")) {
                    seen.add(packageOf(type.asInternalName()));
                } else if (entry instanceof Utf8Entry text) {
                    Matcher types = TYPE.matcher(text.stringValue()); // descriptors and signatures
                    while (types.find()) {
                        seen.add(packageOf(types.group(1)));
                    }
                }
            }
            seen.remove(from);
        }
        return found;
    }

    private static Set<Path> classFiles() throws IOException {
        try (Stream<Path> tree = Files.walk(CLASSES)) {
            Set<Path> files = new TreeSet<>(
                    tree.filter(file -> file.toString().endsWith(".class") && !file.endsWith("module-info.class")).toList());
            assertTrue(files.size() > 50, files.size() + " class files under " + CLASSES.toAbsolutePath());
            return files;
        }
    }

    private static ClassModel parse(Path file) throws IOException {
        return ClassFile.of().parse(file);
    }

    private static String packageOf(String internalName) {
        return internalName.substring(0, internalName.lastIndexOf('/')).replace('/', '.');
    }
}
