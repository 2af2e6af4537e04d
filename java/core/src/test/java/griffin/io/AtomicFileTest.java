package griffin.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A file appears whole or not at all, whoever else writes it. */
class AtomicFileTest {

    @TempDir
    private Path folder;

    private static void write(AtomicFile file, String text) throws IOException {
        file.write(ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8)));
    }

    private List<String> names() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    /** What the first leaves behind when it closes must not be the second's. */
    @Test
    void twoWritersOfOneFileDoNotMeet() throws IOException {
        Path target = folder.resolve("state");
        try (AtomicFile second = committedFirst(target)) {
            write(second, "second");
            second.commit();
        }
        assertEquals("second", Files.readString(target));
        assertEquals(List.of("state"), names());
    }

    /** Writes and commits a file, and starts another one before it is closed. */
    private static AtomicFile committedFirst(Path target) throws IOException {
        try (AtomicFile first = new AtomicFile(target)) {
            write(first, "first");
            first.commit();
            return new AtomicFile(target);
        }
    }

    /** An exception of files has no more than a path for a message: the words are added here. */
    @Test
    void errorsAreToldInWords() throws IOException {
        Path target = folder.resolve("none").resolve("state");
        IOException missing = assertThrows(IOException.class, () -> new AtomicFile(target));
        assertEquals(target + ": the folder " + target.getParent() + " does not exist: make it, or name a file in another",
                FileErrors.reason(missing));
        assertEquals("f does not exist", FileErrors.reason(new NoSuchFileException("f")));
        assertEquals("no permission for f", FileErrors.reason(new AccessDeniedException("f")));
        assertEquals("f is no folder", FileErrors.reason(new FileAlreadyExistsException("f")));
        assertEquals("java.io.EOFException", FileErrors.reason(new EOFException()), "a type is more than nothing");
    }

    @Test
    void aNameThatIsTakenStaysAsItIs() throws IOException {
        Path target = folder.resolve("state");
        for (Commit commit : List.<Commit>of(AtomicFile::commitNew, AtomicFile::commitReserved)) {
            try (AtomicFile first = new AtomicFile(target); AtomicFile second = new AtomicFile(target)) {
                write(first, "first");
                write(second, "second");
                commit.of(first);
                assertThrows(FileAlreadyExistsException.class, () -> commit.of(second));
            }
            assertEquals("first", Files.readString(target));
            assertEquals(List.of("state"), names());
            Files.delete(target);
        }
    }

    private interface Commit {
        void of(AtomicFile file) throws IOException;
    }

    @Test
    void withoutACommitTheOldFileStays() throws IOException {
        Path target = Files.writeString(folder.resolve("state"), "old");
        try (AtomicFile file = new AtomicFile(target)) {
            write(file, "new");
        }
        assertEquals("old", Files.readString(target));
        assertEquals(List.of("state"), names());
    }

    @Test
    void aLinkStaysALink() throws IOException {
        Path real = Files.createDirectory(folder.resolve("elsewhere")).resolve("real");
        Path link = Files.createSymbolicLink(folder.resolve("link"), Path.of("elsewhere", "real"));
        Path outer = Files.createSymbolicLink(folder.resolve("outer"), Path.of("link"));
        for (String text : List.of("new", "newer")) { // the first time the link leads nowhere
            try (AtomicFile file = new AtomicFile(outer)) {
                write(file, text);
                file.commit();
            }
            assertTrue(Files.isSymbolicLink(link) && Files.isSymbolicLink(outer));
            assertEquals(text, Files.readString(real));
        }
        Path loop = Files.createSymbolicLink(folder.resolve("loop"), Path.of("loop"));
        assertThrows(FileSystemException.class, () -> new AtomicFile(loop));
    }

    @Test
    void aRootIsNoFile() {
        FileSystemException e = assertThrows(FileSystemException.class, () -> new AtomicFile(folder.getRoot()));
        assertTrue(e.getMessage().contains("root folder"), e.getMessage());
    }
}
