package griffin.hub;

import griffin.error.HubException;
import griffin.io.FileErrors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Where a model is in the store:
 *
 * <pre>
 * OWNER/NAME/current            the commit in use; without it there is no model
 * OWNER/NAME/COMMIT/            its files, and a manifest
 * OWNER/NAME/.partial/COMMIT/   on its way: files/ becomes the folder above in one step, ranges/ says what is there
 * .locks/OWNER/NAME             held while any of it changes
 * </pre>
 */
final class ModelFolder {

    private static final String CURRENT = "current";
    private static final String PARTIAL = ".partial";
    private static final String COMMIT = "[0-9a-f]{40,64}";

    final ModelName name;
    private final Path store;
    private final Path folder;

    ModelFolder(Path store, ModelName name) {
        this.store = store;
        this.name = name;
        folder = store.resolve(name.owner()).resolve(name.name());
    }

    ModelLock lock() {
        return ModelLock.take(store.resolve(".locks").resolve(name.owner()).resolve(name.name()), name);
    }

    /** Whether anything of the model is here, be it whole or not. */
    boolean exists() {
        return Files.isDirectory(folder);
    }

    Path path() {
        return folder;
    }

    /** Files on their way. */
    Path files(String commit) {
        return folder.resolve(PARTIAL).resolve(commit).resolve("files");
    }

    /** Their journals. */
    Path ranges(String commit) {
        return folder.resolve(PARTIAL).resolve(commit).resolve("ranges");
    }

    /** The commit in use. */
    Optional<String> current() {
        try {
            return Files.isRegularFile(folder.resolve(CURRENT)) && Files.size(folder.resolve(CURRENT)) < 100
                    ? Optional.of(Files.readString(folder.resolve(CURRENT)).strip()).filter(commit -> commit.matches(COMMIT))
                    : Optional.empty();
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    Path snapshot(String commit) {
        return folder.resolve(commit);
    }

    /** The manifest of the commit in use, whether or not its files are all there. */
    Optional<Manifest> manifest() {
        return current().flatMap(commit -> Manifest.read(snapshot(commit)).filter(manifest -> manifest.commit().equals(commit)));
    }

    /** The model, if all of it is here. */
    Optional<Installed> installed() {
        return manifest().filter(manifest -> manifest.missing(snapshot(manifest.commit())).isEmpty())
                .map(manifest -> new Installed(name, manifest.bytes(), manifest.commit(), manifest.pulled(), snapshot(manifest.commit())));
    }

    /** Makes the folders that files of a commit come to, and deletes what is left of others. */
    void prepare(String commit) throws IOException {
        if (Files.isDirectory(folder.resolve(PARTIAL))) {
            for (Path other : list(folder.resolve(PARTIAL))) {
                if (!other.getFileName().toString().equals(commit)) {
                    StoreFiles.delete(other);
                }
            }
        }
        Files.createDirectories(files(commit));
        Files.createDirectories(ranges(commit));
    }

    /**
     * The model at a commit, if all of it is here: in use already, or from now on, if the process that fetched it was killed before it
     * could say so.
     */
    Optional<Path> atCommit(String commit) throws IOException {
        Path snapshot = snapshot(commit);
        Optional<Manifest> manifest = Manifest.read(snapshot).filter(found -> found.missing(snapshot).isEmpty());
        if (manifest.isPresent() && !current().equals(Optional.of(commit))) {
            use(commit);
        }
        return manifest.map(found -> snapshot);
    }

    /** Puts complete files in place, in one step, and deletes what was there before. */
    Path complete(Manifest manifest) throws IOException {
        String commit = manifest.commit();
        manifest.write(files(commit));
        StoreFiles.sync(files(commit));
        if (Files.exists(snapshot(commit))) { // damaged, or half removed
            if (current().equals(Optional.of(commit))) {
                Files.delete(folder.resolve(CURRENT));
            }
            StoreFiles.delete(snapshot(commit));
        }
        Files.move(files(commit), snapshot(commit), StandardCopyOption.ATOMIC_MOVE);
        StoreFiles.sync(folder);
        use(commit);
        return snapshot(commit);
    }

    private void use(String commit) throws IOException {
        StoreFiles.write(folder.resolve(CURRENT), commit + "\n");
        for (Path other : list(folder)) {
            String found = other.getFileName().toString();
            if (found.equals(PARTIAL) || found.matches(COMMIT) && !found.equals(commit)) {
                StoreFiles.delete(other);
            }
        }
    }

    /** Deletes all of it; what is listed goes first, so that half of a model is never found. */
    void delete() {
        try {
            Files.deleteIfExists(folder.resolve(CURRENT));
            StoreFiles.delete(folder);
            try (Stream<Path> others = Files.list(folder.getParent())) {
                if (others.findAny().isEmpty()) {
                    Files.delete(folder.getParent());
                }
            }
        } catch (IOException e) {
            throw new HubException(folder + " cannot be deleted: " + FileErrors.reason(e), e);
        }
    }

    private static List<Path> list(Path folder) throws IOException {
        try (Stream<Path> entries = Files.list(folder)) {
            return entries.toList();
        }
    }
}
