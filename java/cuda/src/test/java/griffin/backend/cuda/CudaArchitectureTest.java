package griffin.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.constantpool.ClassEntry;
import java.lang.classfile.constantpool.PoolEntry;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The backend knows operations, not models: of the core it sees {@code griffin.backend}, sampling parameters and errors. */
class CudaArchitectureTest {

    private static final Set<String> MAY_SEE =
            Set.of("griffin/backend", "griffin/backend/cuda", "griffin/bindings", "griffin/bindings/cuda", "griffin/sampling",
                    "griffin/error");

    @Test
    void seesNoModel() throws IOException {
        Set<String> seen = new TreeSet<>();
        try (Stream<Path> tree = Files.walk(Path.of("target/classes/griffin"))) {
            for (Path file : (Iterable<Path>) tree.filter(file -> file.toString().endsWith(".class"))::iterator) {
                for (PoolEntry entry : ClassFile.of().parse(file).constantPool()) {
                    if (entry instanceof ClassEntry type && type.asInternalName().startsWith("griffin/")) {
                        seen.add(type.asInternalName().substring(0, type.asInternalName().lastIndexOf('/')));
                    }
                }
            }
        }
        assertTrue(seen.contains("griffin/bindings/cuda"), "the scan sees dependencies: " + seen);
        seen.removeAll(MAY_SEE);
        assertEquals(Set.of(), seen);
    }
}
