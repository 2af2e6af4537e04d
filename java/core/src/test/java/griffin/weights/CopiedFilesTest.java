package griffin.weights;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CopiedFilesTest {

    @TempDir
    private Path temp;

    /** Of a size that is no whole number of pieces, and large enough for large pages. */
    @Test
    void theCopyIsTheFileAndOutlivesIt() throws IOException {
        byte[] bytes = new byte[(int) LargePages.LEAST + 12_345];
        new Random(1).nextBytes(bytes);
        Path file = Files.write(temp.resolve("weights"), bytes);
        List<Long> told = new ArrayList<>();
        ModelFiles files = ModelFiles.of(temp).copied(told::add);
        try (Arena arena = Arena.ofShared()) {
            MemorySegment copy = files.map("weights", arena);
            Files.write(file, new byte[1]);
            assertEquals(-1, copy.mismatch(MemorySegment.ofArray(bytes)));
            assertTrue(copy.isReadOnly());
            assertFalse(copy.isMapped());
            assertEquals((long) bytes.length, told.getLast());
            assertEquals(told.stream().sorted().toList(), told);
        }
        assertEquals(1, files.map("weights", Arena.ofAuto()).toArray(ValueLayout.JAVA_BYTE).length);
        assertEquals(ModelFiles.of(temp).describe("weights"), files.describe("weights"));
        assertEquals(List.of("weights"), files.names());
        assertTrue(files.exists("weights") && !files.exists("absent"));
    }
}
