package griffin.cache;

import griffin.io.AtomicFile;
import griffin.io.FileErrors;
import griffin.io.OwnerFolder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.ReentrantLock;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Prefixes on disk: a folder for each model and fidelity within one that several processes may share, and a file for each prefix, which
 * appears whole or not at all. A lock that all of them take for writing keeps the budget and shows which temporary files nobody writes any more; who
 * only reads needs none. The files that were used longest ago leave first, of whatever model.
 */
public final class PrefixFolder {

    /** What a search of a file found. */
    public sealed interface Found {
        /** A whole file. */
        record Whole(byte[] snapshot, float[] logits) implements Found {}

        /** There is none: another process has removed it. */
        record Gone() implements Found {}

        /** It was damaged, or of another model, and was removed. */
        record Refused() implements Found {}
    }

    /** A disk of this machine may count time in steps of this many milliseconds. */
    private static final long STEP_MILLIS = 50;
    private static final Pattern FILE = Pattern.compile("([0-9a-f]{64})-([0-9]{1,10})\\.prefix");
    /** What {@link AtomicFile} writes before such a file; all else in the folders is somebody's. */
    private static final Pattern TEMPORARY = Pattern.compile("\\.[0-9a-f]{64}-[0-9]{1,10}\\.prefix\\.[0-9]+-[0-9]+\\.part");
    private static final String LOSSY = "-q8";
    private static final Pattern FOLDER = Pattern.compile("[0-9a-f]{32}(" + LOSSY + ")?");
    private static final String LOCK = ".lock";
    /** Within a process; a file's lock is the whole process's. */
    private static final ReentrantLock WRITING = new ReentrantLock();

    private final Path root;
    private final Path folder;
    private final byte[] identity;
    private final long budget;
    private FileTime listed;

    /**
     * Makes the folders where they are missing, for their owner alone.
     *
     * @param lossy  whether it is of states that lost something, which are kept apart from exact ones
     * @param budget most bytes of all files within {@code root}
     */
    public PrefixFolder(Path root, byte[] identity, boolean lossy, long budget) {
        this.root = root;
        this.identity = identity;
        this.budget = budget;
        folder = root.resolve(HexFormat.of().formatHex(identity, 0, 16) + (lossy ? LOSSY : ""));
        try {
            OwnerFolder.create(root);
            OwnerFolder.create(folder);
        } catch (IOException e) {
            throw new UncheckedIOException("the folder of states " + folder + " cannot be made: " + FileErrors.reason(e), e);
        }
    }

    private Path file(PrefixKey key) {
        return folder.resolve(key.digest() + "-" + key.length() + ".prefix");
    }

    /** The prefixes of this model and the bytes of their files, or null if nothing has changed since the last call. */
    public synchronized Map<PrefixKey, Long> changes() throws IOException {
        FileTime time = Files.getLastModifiedTime(folder);
        if (time.equals(listed)) {
            return null;
        }
        Map<PrefixKey, Long> files = new HashMap<>();
        try (Stream<Path> all = Files.list(folder)) {
            for (Path file : all.toList()) {
                Matcher name = FILE.matcher(file.getFileName().toString());
                if (name.matches() && Long.parseLong(name.group(2)) <= Integer.MAX_VALUE) {
                    sizeOf(file, size -> files.put(new PrefixKey(name.group(1), Integer.parseInt(name.group(2))), size));
                }
            }
        }
        // A file that came within the same step of the clock would not be seen by its time.
        listed = System.currentTimeMillis() - time.toMillis() < STEP_MILLIS ? null : time;
        return files;
    }

    private static void sizeOf(Path file, java.util.function.LongConsumer found) throws IOException {
        try {
            found.accept(Files.size(file));
        } catch (NoSuchFileException e) {
            return; // another process was quicker
        }
    }

    /** Reads a prefix and notes its use. */
    public Found read(PrefixKey key) throws IOException {
        Path file = file(key);
        PrefixFile.Content content;
        try {
            content = PrefixFile.read(file, identity, key);
        } catch (NoSuchFileException e) {
            return new Found.Gone();
        }
        if (content == null) {
            refuse(key);
            return new Found.Refused();
        }
        touch(key);
        return new Found.Whole(content.snapshot(), content.logits());
    }

    /** Removes a file that is not what its name says. */
    public void refuse(PrefixKey key) throws IOException {
        Files.deleteIfExists(file(key));
    }

    /** Notes a use, so that others leave first. */
    public void touch(PrefixKey key) {
        try {
            Files.setLastModifiedTime(file(key), FileTime.fromMillis(System.currentTimeMillis()));
        } catch (IOException e) {
            return; // it has left, or belongs to another user: then its age is theirs to keep
        }
    }

    /**
     * Writes a prefix, after others have left for it if need be.
     *
     * @return whether it was written; not if it is larger than the budget
     */
    public boolean write(PrefixKey key, byte[] snapshot, float[] logits) throws IOException {
        long size = PrefixFile.bytes(snapshot, logits);
        if (size > budget) {
            return false;
        }
        WRITING.lock();
        try (FileChannel channel = FileChannel.open(root.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
                FileLock lock = channel.lock()) {
            makeRoom(size, file(key));
            OwnerFolder.create(folder);
            try (AtomicFile target = new AtomicFile(file(key))) {
                for (ByteBuffer piece : PrefixFile.pieces(identity, key, snapshot, logits)) {
                    target.write(piece);
                }
                target.commit();
            }
            return lock.isValid();
        } finally {
            WRITING.unlock();
        }
    }

    private record Existing(Path file, long size, FileTime used) {}

    /** Under the lock: removes what crashed writers left, and then the files used longest ago. */
    private void makeRoom(long size, Path replaced) throws IOException {
        List<Existing> files = new ArrayList<>();
        long total = size;
        for (Path file : tree()) {
            String name = file.getFileName().toString();
            if (TEMPORARY.matcher(name).matches()) {
                Files.deleteIfExists(file);
            } else if (FILE.matcher(name).matches() && !file.equals(replaced)) {
                try {
                    BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class);
                    files.add(new Existing(file, attributes.size(), attributes.lastModifiedTime()));
                    total += attributes.size();
                } catch (NoSuchFileException e) {
                    continue; // a reader has refused and removed it
                }
            }
        }
        files.sort(Comparator.comparing(Existing::used));
        for (Existing file : files) {
            if (total <= budget) {
                break;
            }
            Files.deleteIfExists(file.file);
            total -= file.size;
        }
    }

    private static boolean isOurs(Path folder) {
        return FOLDER.matcher(folder.getFileName().toString()).matches() && Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS);
    }

    /** The files of all models. */
    private List<Path> tree() throws IOException {
        List<Path> files = new ArrayList<>();
        try (Stream<Path> models = Files.list(root)) {
            for (Path model : models.filter(PrefixFolder::isOurs).toList()) {
                try (Stream<Path> inside = Files.list(model)) {
                    inside.forEach(files::add);
                }
            }
        }
        return files;
    }
}
