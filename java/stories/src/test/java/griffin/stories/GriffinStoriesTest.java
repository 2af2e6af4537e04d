package griffin.stories;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.model.GenerationConfig;
import griffin.model.GriffinConfig;
import griffin.weights.ModelFiles;
import griffin.weights.Tensor;
import griffin.weights.WeightFiles;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.lang.reflect.InvocationTargetException;
import java.net.URISyntaxException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GriffinStoriesTest {

    @Test
    void opensFromTheDirectoryOfClasses() {
        assertWhole(GriffinStories.files());
    }

    @Test
    void opensFromAJarInPlace(@TempDir Path temp) throws Exception {
        Path jar = temp.resolve("stories.jar");
        writeStored(classes(), jar);
        ModelFiles files = filesFrom(jar);
        assertTrue(files.location().contains("stories.jar!/griffin/stories/"), files.location());
        assertWhole(files);
        assertEquals(GriffinStories.files().names(), files.names());
        try (Arena arena = Arena.ofConfined()) {
            for (String name : files.names()) {
                assertTrue(files.map(name, arena).isMapped() && files.map(name, arena).isReadOnly(), name);
                assertEquals(-1, GriffinStories.files().map(name, arena).mismatch(files.map(name, arena)), name);
                assertArrayEquals(GriffinStories.files().open(name).readAllBytes(), files.open(name).readAllBytes(), name);
            }
        }
    }

    private static void assertWhole(ModelFiles files) {
        GriffinConfig config = GriffinConfig.read(files);
        assertEquals(15_032_000, config.parameters());
        assertEquals(List.of(1, 261), GenerationConfig.read(files).eosIds());
        assertTrue(files.exists("tokenizer.json") && files.exists("README.md"));
        try (Arena arena = Arena.ofConfined()) {
            WeightFiles weights = WeightFiles.open(files, arena);
            assertEquals(2 * config.parameters(), weights.bytes());
            Tensor table = weights.require("model.embed_tokens.weight", config.vocabulary(), config.width());
            assertTrue(table.data().isMapped());
            weights.check();
        }
    }

    /** Loads the class anew, from the jar, as a program with the jar on its class path would. */
    private static ModelFiles filesFrom(Path jar) throws IOException, ReflectiveOperationException {
        URL[] path = {jar.toUri().toURL()};
        ClassLoader core = GriffinConfig.class.getClassLoader();
        try (URLClassLoader loader = new URLClassLoader(path, new OnlyCore(core))) {
            Class<?> type = Class.forName("griffin.stories.GriffinStories", true, loader);
            return (ModelFiles) type.getMethod("files").invoke(null);
        } catch (InvocationTargetException e) {
            throw new AssertionError(e.getCause());
        }
    }

    /** Hides this module's own classes, so that they come from the jar. */
    private static final class OnlyCore extends ClassLoader {
        OnlyCore(ClassLoader core) {
            super(core);
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            if (name.startsWith("griffin.stories.")) {
                throw new ClassNotFoundException(name);
            }
            return super.loadClass(name, resolve);
        }
    }

    private static Path classes() throws URISyntaxException {
        URL source = GriffinStories.class.getProtectionDomain().getCodeSource().getLocation();
        assertNotNull(source);
        Path path = Path.of(source.toURI());
        assertTrue(Files.isDirectory(path), "tests run on a directory of classes: " + path);
        return path;
    }

    private static void writeStored(Path root, Path jar) throws IOException {
        try (OutputStream out = Files.newOutputStream(jar); ZipOutputStream zip = new ZipOutputStream(out);
                Stream<Path> tree = Files.walk(root)) {
            zip.setMethod(ZipOutputStream.STORED);
            for (Path file : tree.filter(Files::isRegularFile).toList()) {
                byte[] bytes = Files.readAllBytes(file);
                ZipEntry entry = new ZipEntry(root.relativize(file).toString().replace('\\', '/'));
                CRC32 crc = new CRC32();
                crc.update(bytes);
                entry.setSize(bytes.length);
                entry.setCrc(crc.getValue());
                zip.putNextEntry(entry);
                zip.write(bytes);
            }
        }
    }
}
