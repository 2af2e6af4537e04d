package griffin.weights;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LargePagesTest {

    private static final Path ENABLED = Path.of("/sys/kernel/mm/transparent_hugepage/enabled");

    @TempDir
    private Path temp;

    @Test
    void countsThePagesOfTheAreasThatOverlap() {
        String smaps = """
                7f0000000000-7f0000400000 r--s 00000000 fe:00 12                         /models/a-1.safetensors
                Size:               4096 kB
                FilePmdMapped:      4096 kB
                7f0000400000-7f0000800000 rw-p 00000000 00:00 0\s
                AnonHugePages:      2048 kB
                ShmemPmdMapped:        0 kB
                VmFlags: rd wr mr mw me ac hg\s
                7f0000800000-7f0000c00000 r--s 00000000 fe:00 13                         /models/b
                FilePmdMapped:      2048 kB
                """;
        assertEquals(4096 << 10, LargePages.inLargePages(smaps, 0x7f0000000000L, 0x7f0000400000L));
        assertEquals(8192 << 10, LargePages.inLargePages(smaps, 0x7f0000000000L, 0x7f0000c00000L));
        assertEquals(4, LargePages.inLargePages(smaps, 0x7f00003fffffL, 0x7f0000400003L), "no more than there is of it");
        assertEquals(0, LargePages.inLargePages(smaps, 0x7f0000c00000L, 0x7f0000d00000L));
    }

    @Test
    void memoryForACopyIsInLargePages() throws IOException {
        assumeTrue(LargePages.supported(), "large pages are asked for on 64-bit Linux only");
        assumeTrue(Files.exists(ENABLED) && !Files.readString(ENABLED).contains("[never]"), "this kernel gives no large pages");
        try (Arena arena = Arena.ofShared()) {
            MemorySegment memory = LargePages.allocate(LargePages.LEAST + 5, arena);
            assertEquals(LargePages.LEAST + 5, memory.byteSize());
            assertEquals(0, memory.address() % LargePages.BYTES);
            assertEquals(0, memory.get(ValueLayout.JAVA_BYTE, LargePages.LEAST + 4));
            memory.fill((byte) 3);
            assertTrue(LargePages.adviseHere(memory), "the kernel takes the advice");
            long large = LargePages.inLargePages(List.of(memory)).orElseThrow();
            assumeTrue(large > 0, "no 2 MiB of memory in one piece are free now");
            assertTrue(large <= memory.byteSize(), large + " bytes");
        }
    }

    /** Whatever the kernel says, the mapping is as good as before. */
    @Test
    void adviceChangesNoByte() throws Exception {
        assumeTrue(LargePages.supported(), "large pages are asked for on 64-bit Linux only");
        Path file = temp.resolve("weights");
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE, StandardOpenOption.CREATE);
                Arena arena = Arena.ofShared()) {
            MemorySegment written = channel.map(FileChannel.MapMode.READ_WRITE, 0, LargePages.LEAST + 3, arena); // a hole, but for its end
            written.set(ValueLayout.JAVA_BYTE, LargePages.LEAST + 2, (byte) 7);
            for (long at : new long[] {0, 5}) { // an entry of a jar starts anywhere
                MemorySegment read = channel.map(FileChannel.MapMode.READ_ONLY, at, LargePages.LEAST + 3 - at, arena);
                LargePages.adviseHere(read);
                LargePages.advise(List.of(read, read.asSlice(0, 10))).join();
                assertEquals(7, read.get(ValueLayout.JAVA_BYTE, LargePages.LEAST + 2 - at));
            }
            assertEquals(Thread.State.NEW, LargePages.advise(List.of(written.asSlice(0, 10))).getState(), "small ones are left alone");
        }
    }
}
