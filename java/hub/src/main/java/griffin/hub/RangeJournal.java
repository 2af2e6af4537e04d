package griffin.hub;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What of a file is there, kept beside it so that a later pull can go on: a first line that says which file and how long its ranges
 * are, then a line for every range that grew ({@code range INDEX BYTES}) and for the storage's name of the content ({@code etag NAME}).
 * Lines are only added, so a process that is killed loses no more than the last one, which then has no end and does not count.
 */
final class RangeJournal implements AutoCloseable {

    private static final Pattern HEAD = Pattern.compile("griffin-ranges 1 (\\d{1,18}) (\\S+ \\S+) (\\d{1,18})");
    private static final Pattern RANGE = Pattern.compile("range (\\d{1,9}) (\\d{1,18})");
    private static final String ETAG = "etag ";
    /** What can be sent back in a header. */
    private static final Pattern NAME = Pattern.compile("[\\x21-\\x7E]{1,500}");

    private final FileChannel channel;
    /** Length of all ranges but the last, in bytes. */
    final long rangeBytes;
    /** Bytes of each range that are in the file, from its beginning. */
    final long[] done;
    private String etag = "";

    private RangeJournal(FileChannel channel, long bytes, long rangeBytes) {
        this.channel = channel;
        this.rangeBytes = rangeBytes;
        done = new long[Math.toIntExact(Math.max(1, (bytes + rangeBytes - 1) / rangeBytes))];
    }

    /**
     * Goes on with the journal of a file, or begins a new one where there is none, or one of another file, or a damaged one.
     *
     * @param fresh whether to begin a new one in any case
     */
    static RangeJournal open(Path path, HubFile file, long rangeBytes, boolean fresh) throws IOException {
        FileChannel channel =
                FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
        try {
            RangeJournal old = fresh ? null : read(path, channel, file);
            if (old != null) {
                return old;
            }
            channel.truncate(0);
            RangeJournal journal = new RangeJournal(channel, file.bytes(), rangeBytes);
            journal.add("griffin-ranges 1 " + file.bytes() + " " + described(file) + " " + rangeBytes);
            return journal;
        } catch (IOException | RuntimeException e) {
            channel.close();
            throw e;
        }
    }

    private static String described(HubFile file) {
        return file.checksum().kind() + " " + file.checksum().hex();
    }

    /** Null when it cannot be gone on with. */
    private static RangeJournal read(Path path, FileChannel channel, HubFile file) throws IOException {
        byte[] all = Files.readAllBytes(path);
        int whole = all.length;
        while (whole > 0 && all[whole - 1] != '\n') {
            whole--;
        }
        String[] lines = new String(all, 0, whole, StandardCharsets.UTF_8).split("\n");
        Matcher head = HEAD.matcher(lines[0]);
        if (!head.matches() || Long.parseLong(head.group(1)) != file.bytes() || !head.group(2).equals(described(file))
                || Long.parseLong(head.group(3)) < Math.max(1, file.bytes() >> 20)) {
            return null;
        }
        RangeJournal journal = new RangeJournal(channel, file.bytes(), Long.parseLong(head.group(3)));
        for (int i = 1; i < lines.length; i++) {
            Matcher range = RANGE.matcher(lines[i]);
            if (lines[i].startsWith(ETAG) && NAME.matcher(lines[i].substring(ETAG.length())).matches()) {
                journal.etag = lines[i].substring(ETAG.length());
            } else if (range.matches() && Integer.parseInt(range.group(1)) < journal.done.length
                    && Long.parseLong(range.group(2)) <= journal.length(Integer.parseInt(range.group(1)), file.bytes())) {
                journal.done[Integer.parseInt(range.group(1))] = Long.parseLong(range.group(2));
            } else {
                return null;
            }
        }
        channel.truncate(whole);
        channel.position(whole);
        return journal;
    }

    /** Bytes of a range of a file. */
    long length(int range, long bytes) {
        return Math.min(rangeBytes, bytes - range * rangeBytes);
    }

    /** The storage's name of the content the ranges are of; empty when none was told. */
    synchronized String etag() {
        return etag;
    }

    /** Takes the storage's name of the content, or returns false if the ranges so far are of another one. */
    synchronized boolean accept(String name) throws IOException {
        if (etag.isEmpty() && NAME.matcher(name).matches()) {
            etag = name;
            add(ETAG + name);
        }
        return name.isEmpty() || etag.isEmpty() || etag.equals(name);
    }

    /** Writes down how much of a range is there. */
    synchronized void range(int range, long bytes) throws IOException {
        add("range " + range + " " + bytes);
    }

    private void add(String line) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap((line + "\n").getBytes(StandardCharsets.UTF_8));
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}
