package griffin.weights;

import griffin.error.ModelFormatException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.FileSystemNotFoundException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSource;
import java.util.List;

/** Model files that lie beside a class in a jar, mapped in place from the jar file. */
final class JarFiles implements ModelFiles {

    private final StoredZip zip;
    private final String prefix;

    private JarFiles(StoredZip zip, String prefix) {
        this.zip = zip;
        this.prefix = prefix;
    }

    /** Files beside a class: a jar's, or those of a directory when the classes were not packed. */
    static ModelFiles beside(Class<?> anchor, String folder) {
        String base = anchor.getPackageName().replace('.', '/');
        if (!folder.isEmpty()) {
            base += (base.isEmpty() ? "" : "/") + FileNames.checked(folder, anchor.getName());
        }
        Path source = source(anchor);
        if (Files.isDirectory(source)) {
            return DirectoryFiles.of(source.resolve(base));
        }
        return of(source, base);
    }

    static JarFiles of(Path jar, String folder) {
        return new JarFiles(StoredZip.open(jar), folder.isEmpty() ? "" : folder + "/");
    }

    private static Path source(Class<?> anchor) {
        CodeSource source = anchor.getProtectionDomain().getCodeSource();
        String found = source == null || source.getLocation() == null ? "no location" : source.getLocation().toString();
        try {
            URI uri = new URI(found);
            if ("file".equals(uri.getScheme())) {
                return Path.of(uri);
            }
        } catch (URISyntaxException | IllegalArgumentException | FileSystemNotFoundException e) {
            throw notAFile(anchor, found, e);
        }
        throw notAFile(anchor, found, null);
    }

    private static ModelFormatException notAFile(Class<?> anchor, String found, Exception cause) {
        return new ModelFormatException(
                "the model beside class " + anchor.getName() + " must lie in a directory or a jar file, found: " + found
                        + "; put its jar on the class or module path as a file of its own",
                cause);
    }

    @Override
    public String location() {
        return zip.path() + "!/" + prefix;
    }

    @Override
    public boolean exists(String name) {
        return zip.contains(entry(name));
    }

    @Override
    public String describe(String name) {
        return zip.path() + "!/" + entry(name);
    }

    @Override
    public MemorySegment map(String name, Arena arena) {
        return zip.map(entry(name), arena);
    }

    @Override
    public InputStream open(String name) {
        return zip.open(entry(name));
    }

    @Override
    public List<String> names() {
        return zip.names().stream().filter(n -> n.startsWith(prefix)).map(n -> n.substring(prefix.length()))
                .filter(n -> n.indexOf('/') < 0 && FileNames.ofModel(n)).sorted().toList();
    }

    private String entry(String name) {
        return prefix + FileNames.checked(name, location());
    }
}
