package griffin.weights;

import static griffin.weights.Faults.assertFault;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ModelFilesTest {

    @TempDir
    private Path temp;

    @Test
    void directory() throws IOException {
        Files.writeString(temp.resolve("config.json"), "{}");
        Files.createDirectory(temp.resolve("sub"));
        Files.writeString(temp.resolve("sub/x"), "y");
        Files.createFile(temp.resolve("empty"));
        ModelFiles files = ModelFiles.of(temp);
        assertEquals(List.of("config.json", "empty"), files.names());
        assertTrue(files.exists("sub/x") && !files.exists("sub") && !files.exists("absent"));
        assertEquals(temp.resolve("config.json").toString(), files.describe("config.json"));
        try (Arena arena = Arena.ofConfined()) {
            assertArrayEquals("{}".getBytes(), files.map("config.json", arena).toArray(ValueLayout.JAVA_BYTE));
            assertTrue(files.map("config.json", arena).isMapped() && files.map("config.json", arena).isReadOnly());
            assertEquals(0, files.map("empty", arena).byteSize());
            assertFault(() -> files.map("absent", arena), temp.resolve("absent").toString(), "does not exist");
            assertFault(() -> files.map("sub", arena), temp.resolve("sub").toString(), "not a regular file");
        }
        assertFault(() -> ModelFiles.of(temp.resolve("nowhere")), "nowhere", "does not exist", "config.json", "check the path");
        assertFault(() -> ModelFiles.of(temp.resolve("config.json")), "config.json", "not a directory", "give the directory");
    }

    @Test
    void linksIntoADownloadCacheAreFollowed() throws IOException {
        Files.writeString(temp.resolve("blob"), "{}");
        Path snapshot = Files.createDirectory(temp.resolve("snapshot"));
        Files.createSymbolicLink(snapshot.resolve("config.json"), Path.of("../blob"));
        assertEquals(2, ModelFiles.of(snapshot).map("config.json", Arena.ofAuto()).byteSize());
    }

    @Test
    void namesThatLeaveAreRefused() throws IOException {
        Path jar = temp.resolve("m.jar");
        Files.write(jar, zip(true, "m/config.json", "{}"));
        for (ModelFiles files : List.of(ModelFiles.of(temp), JarFiles.of(jar, "m"))) {
            for (String name : new String[] {"../x", "/x", "a/../../x", "..", "", "a//b", "a\\b", "C:x", "a\0b", "x/."}) {
                assertFault(() -> files.open(name), files.location(), "refused");
                assertFault(() -> files.exists(name), "refused");
                assertFault(() -> files.describe(name), "refused");
                assertFault(() -> files.map(name, Arena.ofAuto()), "refused");
            }
        }
    }

    @Test
    void besideAClassInADirectory() {
        ModelFiles files = ModelFiles.inJar(ModelFilesTest.class, "");
        assertFalse(files.exists("config.json"));
        assertTrue(files.exists("ModelFilesTest.class") && files.names().isEmpty());
        assertFault(() -> ModelFiles.inJar(String.class, ""), "java.lang.String", "directory or a jar");
    }

    @Test
    void storedEntriesAreMappedInPlace() throws IOException {
        Path jar = temp.resolve("m.jar");
        Files.write(jar, zip(true, "m/config.json", "{\"a\":1}", "m/empty", "", "m/sub/x", "y", "other", "z"));
        ModelFiles files = JarFiles.of(jar, "m");
        assertEquals(List.of("config.json", "empty"), files.names());
        assertTrue(files.exists("sub/x") && !files.exists("other"));
        assertEquals(jar + "!/m/config.json", files.describe("config.json"));
        try (Arena arena = Arena.ofConfined(); InputStream in = files.open("config.json")) {
            MemorySegment mapped = files.map("config.json", arena);
            assertTrue(mapped.isMapped() && mapped.isReadOnly());
            assertEquals("{\"a\":1}", new String(mapped.toArray(ValueLayout.JAVA_BYTE), StandardCharsets.UTF_8));
            assertEquals("{\"a\":1}", new String(in.readAllBytes(), StandardCharsets.UTF_8));
            assertEquals(0, files.map("empty", arena).byteSize());
        }
        assertFault(() -> files.open("absent"), "m.jar", "m/absent");
    }

    @Test
    void jarFaults() throws IOException {
        byte[] whole = zip(true, "m/a", "aaaaaaaa");
        Path jar = temp.resolve("m.jar");
        Files.write(jar, zip(false, "m/a", "aaaaaaaaaaaaaaaaaaaaaaaa"));
        assertFault(() -> JarFiles.of(jar, "m").open("a"), "m.jar!/m/a", "compressed", "expected a stored entry");
        assertJarFault(Arrays.copyOf(whole, whole.length - 1), "no end of central directory");
        assertJarFault(new byte[3], "at least 22 bytes", "found 3");
        int end = whole.length - 22;
        assertJarFault(patched(whole, end + 16, 4, 0xFFFFFFFFL), "zip64");
        assertJarFault(patched(whole, end + 10, 2, 0xFFFF), "zip64");
        assertJarFault(patched(whole, end + 4, 2, 1), "several disks");
        assertJarFault(patched(whole, end + 16, 4, 5000), "central directory", "5000");
        int central = ByteBuffer.wrap(whole).order(ByteOrder.LITTLE_ENDIAN).getInt(end + 16);
        assertJarFault(patched(whole, central, 4, 7), "broken at entry 0");
        assertJarFault(patched(whole, central + 28, 2, 60000), "truncated in entry 0");
        assertJarFault(patched(whole, central + 24, 4, 0xFFFFFFFFL), "zip64");
        assertEntryFault(patched(whole, central + 42, 4, 5000), "local header", "5000");
        assertEntryFault(patched(whole, central + 42, 4, 3), "no local header");
        assertEntryFault(patched(patched(whole, central + 20, 4, 9999), central + 24, 4, 9999), "9999 bytes", "beyond the file");
        assertEntryFault(patched(whole, central + 8, 2, 1), "encrypted");
    }

    private void assertJarFault(byte[] bytes, String... words) throws IOException {
        Path jar = temp.resolve("broken.jar");
        Files.write(jar, bytes);
        assertFault(() -> JarFiles.of(jar, "m"), words);
        assertFault(() -> JarFiles.of(jar, "m"), "broken.jar");
    }

    private void assertEntryFault(byte[] bytes, String... words) throws IOException {
        Path jar = temp.resolve("broken.jar");
        Files.write(jar, bytes);
        assertFault(() -> JarFiles.of(jar, "m").map("a", Arena.ofAuto()), words);
        assertFault(() -> JarFiles.of(jar, "m").map("a", Arena.ofAuto()), "broken.jar");
    }

    private static byte[] patched(byte[] bytes, int at, int width, long value) {
        ByteBuffer copy = ByteBuffer.wrap(bytes.clone()).order(ByteOrder.LITTLE_ENDIAN);
        if (width == 2) {
            copy.putShort(at, (short) value);
        } else {
            copy.putInt(at, (int) value);
        }
        return copy.array();
    }

    static byte[] zip(boolean stored, String... entries) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(out)) {
            zip.setMethod(stored ? ZipOutputStream.STORED : ZipOutputStream.DEFLATED);
            for (int i = 0; i < entries.length; i += 2) {
                byte[] bytes = entries[i + 1].getBytes(StandardCharsets.UTF_8);
                CRC32 crc = new CRC32();
                crc.update(bytes);
                ZipEntry entry = new ZipEntry(entries[i]);
                entry.setSize(bytes.length);
                entry.setCrc(crc.getValue());
                zip.putNextEntry(entry);
                zip.write(bytes);
            }
        }
        return out.toByteArray();
    }
}
