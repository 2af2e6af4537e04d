package griffin.weights;

import griffin.error.ModelFormatException;
import griffin.io.FileErrors;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.stream.Stream;

/** A model directory. Links are followed: download caches keep their files as links into a store. */
final class DirectoryFiles implements ModelFiles {

    private static final String REMEDY = "; a model is a directory with config.json and model.safetensors";

    private final Path directory;

    DirectoryFiles(Path directory) {
        this.directory = directory;
    }

    static DirectoryFiles of(Path directory) {
        if (!Files.exists(directory)) {
            throw new ModelFormatException("model directory " + directory + " does not exist" + REMEDY + ": check the path");
        }
        if (!Files.isDirectory(directory)) {
            throw new ModelFormatException(
                    "model " + directory + " is not a directory" + REMEDY + ": give the directory that holds the file");
        }
        return new DirectoryFiles(directory);
    }

    @Override
    public String location() {
        return directory.toString();
    }

    @Override
    public boolean exists(String name) {
        return Files.isRegularFile(path(name));
    }

    @Override
    public String describe(String name) {
        return path(name).toString();
    }

    @Override
    public MemorySegment map(String name, Arena arena) {
        Path path = existing(name);
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            return channel.map(MapMode.READ_ONLY, 0, channel.size(), arena);
        } catch (IOException e) {
            throw unreadable(path, e);
        }
    }

    @Override
    public InputStream open(String name) {
        Path path = existing(name);
        try {
            return Files.newInputStream(path);
        } catch (IOException e) {
            throw unreadable(path, e);
        }
    }

    @Override
    public List<String> names() {
        try (Stream<Path> entries = Files.list(directory)) {
            return entries.filter(Files::isRegularFile).map(p -> p.getFileName().toString())
                    .filter(FileNames::ofModel).sorted().toList();
        } catch (IOException e) {
            throw unreadable(directory, e);
        }
    }

    private Path path(String name) {
        try {
            return directory.resolve(FileNames.checked(name, location()));
        } catch (InvalidPathException e) {
            throw new ModelFormatException(location() + ": file name '" + name + "' is refused: " + e.getMessage(), e);
        }
    }

    private Path existing(String name) {
        Path path = path(name);
        if (!Files.isRegularFile(path)) {
            String found = Files.exists(path) ? "is not a regular file" : "does not exist";
            throw new ModelFormatException(path + " " + found + ": the model needs it, is the download complete?");
        }
        return path;
    }

    private static ModelFormatException unreadable(Path path, IOException e) {
        return new ModelFormatException(path + " cannot be read: " + FileErrors.reason(e), e);
    }
}
