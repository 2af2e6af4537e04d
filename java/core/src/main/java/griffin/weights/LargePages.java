package griffin.weights;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * Pages of 2 MiB for weights, asked of Linux and of nobody else. A token reads every weight once, so with pages of 4 KiB it also goes
 * through one entry of the page tables for each 4 KiB. Virtual machines whose host keeps tables of its own for the guest's drop and
 * rebuild such entries all the time: there reading falls to a fraction of what the memory gives.
 *
 * <p>All of it is a wish. Where the kernel refuses, where the program may not call native code, or with
 * {@code -Dgriffin.largePages=false}, nothing is different but the speed.
 */
final class LargePages {

    static final long BYTES = 2L << 20;
    /** Smaller mappings are left alone: linking the call takes longer than they could gain. */
    static final long LEAST = 64L << 20;

    private static final int MADV_HUGEPAGE = 14;
    private static final int PROT_READ_WRITE = 3;
    private static final int MAP_PRIVATE_ANONYMOUS = 0x22;

    private LargePages() {}

    /** Linked when it is first needed, which takes tens of milliseconds: no more than what is called. */
    private static final class Madvise {
        static final MethodHandle CALL = find("madvise", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT));
    }

    /** For copies alone. */
    private static final class Mmap {
        static final MethodHandle MAP = find("mmap",
                FunctionDescriptor.of(ADDRESS, ADDRESS, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG));
        static final MethodHandle UNMAP = find("munmap", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG));
    }

    private static MethodHandle find(String name, FunctionDescriptor type) {
        Linker linker = Linker.nativeLinker();
        return linker.downcallHandle(linker.defaultLookup().find(name).orElseThrow(), type);
    }

    /** Whether they can be asked for here. */
    static boolean supported() {
        return System.getProperty("os.name").equals("Linux") && ADDRESS.byteSize() == 8
                && LargePages.class.getModule().isNativeAccessEnabled()
                && !"false".equals(System.getProperty("griffin.largePages"));
    }

    /**
     * Wishes that what mapped files bring into memory from now on comes in large pages. Linux then reads 2 MiB at a time, whatever the
     * disk's read-ahead is; what it has read already stays as it is. A thread of its own does it: linking the first call takes longer
     * than opening a small model may.
     *
     * @return that thread, which may have nothing to do; a mapping that is gone before it ends is refused, as any other wish may be
     */
    static Thread advise(List<MemorySegment> mappings) {
        List<MemorySegment> large = mappings.stream().filter(mapping -> mapping.byteSize() >= LEAST).toList();
        Thread thread = Thread.ofPlatform().daemon().name("griffin-pages").unstarted(() -> large.forEach(LargePages::adviseHere));
        if (!large.isEmpty() && supported()) {
            thread.start();
        }
        return thread;
    }

    /** @return whether the kernel takes the advice; false, too, where the call cannot be made */
    static boolean adviseHere(MemorySegment memory) {
        long before = memory.address() & 4095; // kernels with larger pages refuse, if need be
        try {
            MemorySegment start = MemorySegment.ofAddress(memory.address() - before);
            return (int) Madvise.CALL.invokeExact(start, memory.byteSize() + before, MADV_HUGEPAGE) == 0;
        } catch (Throwable e) {
            return false; // a wish
        }
    }

    /** Memory of the arena outside the Java heap, in large pages where they can be had; what it holds at first is zeros. */
    static MemorySegment allocate(long bytes, Arena arena) {
        if (bytes < LEAST || !supported()) {
            return arena.allocate(bytes, 64);
        }
        return map(bytes, arena).orElseGet(() -> arena.allocate(bytes, 64));
    }

    /** Not through the arena: that would write zeros, and so make small pages, before the advice can be given. */
    private static Optional<MemorySegment> map(long bytes, Arena arena) {
        long room = bytes + BYTES;
        MemorySegment found;
        try {
            found = (MemorySegment) Mmap.MAP.invokeExact(MemorySegment.NULL, room, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0L);
        } catch (Throwable e) {
            return Optional.empty();
        }
        if (found.address() == -1) {
            return Optional.empty();
        }
        long skip = -found.address() & BYTES - 1;
        MemorySegment memory = found.reinterpret(room, arena, LargePages::unmap).asSlice(skip, bytes);
        adviseHere(memory);
        return Optional.of(memory);
    }

    private static void unmap(MemorySegment memory) {
        try {
            int ignored = (int) Mmap.UNMAP.invokeExact(memory, memory.byteSize());
        } catch (Throwable e) {
            throw new IllegalStateException("munmap", e);
        }
    }

    /** Bytes of these segments that this process has mapped in large pages so far; empty where nobody tells. */
    static OptionalLong inLargePages(List<MemorySegment> segments) {
        try {
            String smaps = Files.readString(Path.of("/proc/self/smaps"));
            return OptionalLong.of(segments.stream().mapToLong(s -> inLargePages(smaps, s.address(), s.address() + s.byteSize())).sum());
        } catch (IOException e) {
            return OptionalLong.empty();
        }
    }

    /**
     * The same from the text of {@code smaps}: a line {@code begin-end ...} for each area, and below it lines {@code Name: N kB}. Of an area
     * that goes beyond the segment no more counts than lies in it.
     */
    static long inLargePages(String smaps, long from, long to) {
        long total = 0;
        long inside = 0;
        for (String line : smaps.lines().toList()) {
            String[] words = line.split("[ -]+", 3);
            if (words[0].matches("[0-9a-f]+")) {
                long begin = Long.parseUnsignedLong(words[0], 16);
                long end = Long.parseUnsignedLong(words[1], 16);
                inside = Math.max(0, Math.min(end, to) - Math.max(begin, from));
            } else if (words[0].matches("(FilePmdMapped|ShmemPmdMapped|AnonHugePages):")) {
                total += Math.min(inside, Long.parseLong(words[1]) << 10);
            }
        }
        return total;
    }
}
