package griffin.weights;

import griffin.error.ModelFormatException;
import griffin.io.FileErrors;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;

/**
 * A zip file whose entries are stored, not compressed, so that each is a range of the file that can be mapped where it lies. Reads the
 * central directory once. Zip64, encryption and several disks are refused; a compressed entry is refused when it is asked for.
 */
final class StoredZip {

    private static final int END_SIGNATURE = 0x06054b50;
    private static final int END_BYTES = 22;
    private static final int ZIP64_LOCATOR_SIGNATURE = 0x07064b50;
    private static final int ZIP64_LOCATOR_BYTES = 20;
    private static final int CENTRAL_SIGNATURE = 0x02014b50;
    private static final int CENTRAL_BYTES = 46;
    private static final int LOCAL_SIGNATURE = 0x04034b50;
    private static final int LOCAL_BYTES = 30;
    private static final int MAX_COMMENT_BYTES = 0xFFFF;
    private static final int MAX_DIRECTORY_BYTES = 64 << 20;
    private static final int MAX_OPEN_BYTES = 256 << 20;

    /** One entry of the central directory; sizes and offset in bytes. */
    private record Entry(int method, int flags, long packed, long size, long localHeader) {}

    private final Path path;
    private final Map<String, Entry> entries = new HashMap<>();

    private StoredZip(Path path) {
        this.path = path;
    }

    static StoredZip open(Path path) {
        StoredZip zip = new StoredZip(path);
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            zip.readDirectory(channel);
        } catch (IOException e) {
            throw new ModelFormatException(path + " cannot be read: " + FileErrors.reason(e), e);
        }
        return zip;
    }

    Path path() {
        return path;
    }

    boolean contains(String name) {
        return entries.containsKey(name);
    }

    Collection<String> names() {
        return entries.keySet();
    }

    /** Maps an entry's bytes in place, read-only. */
    MemorySegment map(String name, Arena arena) {
        Entry entry = stored(name);
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            return channel.map(MapMode.READ_ONLY, dataStart(channel, name, entry), entry.size(), arena);
        } catch (IOException e) {
            throw new ModelFormatException(path + "!/" + name + " cannot be mapped: " + FileErrors.reason(e), e);
        }
    }

    /** Reads a small entry; weights are mapped instead. */
    InputStream open(String name) {
        Entry entry = stored(name);
        if (entry.size() > MAX_OPEN_BYTES) {
            throw new ModelFormatException(path + "!/" + name + " is too large to be read as a stream: expected at most " + MAX_OPEN_BYTES
                    + " bytes, found " + entry.size());
        }
        try (Arena arena = Arena.ofConfined()) {
            return new ByteArrayInputStream(map(name, arena).toArray(ValueLayout.JAVA_BYTE));
        }
    }

    private Entry stored(String name) {
        Entry entry = entries.get(name);
        if (entry == null) {
            throw new ModelFormatException(path + " has no entry " + name + ": the model needs it, is the jar complete?");
        }
        if ((entry.flags() & 1) != 0) {
            throw new ModelFormatException(path + "!/" + name + " is encrypted: expected a plain stored entry");
        }
        if (entry.method() != 0 || entry.packed() != entry.size()) {
            throw new ModelFormatException(path + "!/" + name + " is compressed (zip method " + entry.method() + ", " + entry.packed()
                    + " of " + entry.size()
                    + " bytes): expected a stored entry, which can be mapped in place; build the jar without compression");
        }
        return entry;
    }

    private void readDirectory(FileChannel channel) throws IOException {
        long size = channel.size();
        if (size < END_BYTES) {
            throw damaged("expected at least " + END_BYTES + " bytes, found " + size);
        }
        int tailBytes = (int) Math.min(size, END_BYTES + MAX_COMMENT_BYTES + ZIP64_LOCATOR_BYTES);
        ByteBuffer tail = read(channel, size - tailBytes, tailBytes);
        int end = findEnd(tail);
        if (end >= ZIP64_LOCATOR_BYTES && tail.getInt(end - ZIP64_LOCATOR_BYTES) == ZIP64_LOCATOR_SIGNATURE) {
            throw zip64();
        }
        int count = u16(tail, end + 10);
        long bytes = u32(tail, end + 12);
        long start = u32(tail, end + 16);
        if (count == 0xFFFF || bytes == 0xFFFFFFFFL || start == 0xFFFFFFFFL) {
            throw zip64();
        }
        if (u16(tail, end + 4) != 0 || u16(tail, end + 8) != count) {
            throw damaged("it is one part of an archive on several disks");
        }
        long endOffset = size - tailBytes + end;
        if (start + bytes > endOffset || bytes > MAX_DIRECTORY_BYTES) {
            throw damaged("central directory expected before byte " + endOffset + ", found " + bytes + " bytes at " + start);
        }
        readEntries(read(channel, start, (int) bytes), count);
    }

    private void readEntries(ByteBuffer directory, int count) {
        int at = 0;
        for (int i = 0; i < count; i++) {
            if (at + CENTRAL_BYTES > directory.capacity() || directory.getInt(at) != CENTRAL_SIGNATURE) {
                throw damaged("central directory ends or is broken at entry " + i + " of " + count);
            }
            int nameBytes = u16(directory, at + 28);
            int next = at + CENTRAL_BYTES + nameBytes + u16(directory, at + 30) + u16(directory, at + 32);
            if (next > directory.capacity()) {
                throw damaged("central directory is truncated in entry " + i + " of " + count);
            }
            String name = StandardCharsets.UTF_8.decode(directory.slice(at + CENTRAL_BYTES, nameBytes)).toString();
            Entry entry = new Entry(u16(directory, at + 10), u16(directory, at + 8), u32(directory, at + 20), u32(directory, at + 24),
                    u32(directory, at + 42));
            if (entry.packed() == 0xFFFFFFFFL || entry.size() == 0xFFFFFFFFL || entry.localHeader() == 0xFFFFFFFFL) {
                throw zip64();
            }
            if (!name.endsWith("/") && entries.put(name, entry) != null) {
                throw damaged("entry " + name + " appears twice");
            }
            at = next;
        }
    }

    /** The local header repeats the name and has its own extra field, whose length only it knows. */
    private long dataStart(FileChannel channel, String name, Entry entry) throws IOException {
        long header = entry.localHeader();
        if (header + LOCAL_BYTES > channel.size()) {
            throw damaged("local header of " + name + " at byte " + header + " lies beyond the file");
        }
        ByteBuffer local = read(channel, header, LOCAL_BYTES);
        if (local.getInt(0) != LOCAL_SIGNATURE) {
            throw damaged("no local header of " + name + " at byte " + header);
        }
        long start = header + LOCAL_BYTES + u16(local, 26) + u16(local, 28);
        if (start + entry.size() > channel.size()) {
            throw damaged("entry " + name + " of " + entry.size() + " bytes at " + start + " reaches beyond the file of " + channel.size());
        }
        return start;
    }

    private int findEnd(ByteBuffer tail) {
        for (int at = tail.capacity() - END_BYTES; at >= 0; at--) {
            if (tail.getInt(at) == END_SIGNATURE && u16(tail, at + 20) == tail.capacity() - END_BYTES - at) {
                return at;
            }
        }
        throw damaged("no end of central directory found; is it complete?");
    }

    private ByteBuffer read(FileChannel channel, long position, int bytes) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
        while (buffer.hasRemaining()) {
            if (channel.read(buffer, position + buffer.position()) < 0) {
                throw damaged("it ends at byte " + channel.size() + " while being read");
            }
        }
        return buffer.flip();
    }

    private ModelFormatException damaged(String what) {
        return new ModelFormatException(path + " is not a whole jar or zip file: " + what);
    }

    private ModelFormatException zip64() {
        return new ModelFormatException(path + " is a zip64 file, which is not supported: use a jar under 4 GiB or a model directory");
    }

    private static int u16(ByteBuffer buffer, int at) {
        return buffer.getShort(at) & 0xFFFF;
    }

    private static long u32(ByteBuffer buffer, int at) {
        return buffer.getInt(at) & 0xFFFFFFFFL;
    }
}
