package griffin.hub;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** A file that is written and read at any place by several threads; an interface so that a test can have one that fails. */
interface DiskFile extends AutoCloseable {

    /** How files are opened. */
    interface Opener {
        DiskFile open(Path path) throws IOException;
    }

    /** Writes all remaining bytes at a place. */
    void write(ByteBuffer bytes, long at) throws IOException;

    /** Reads some bytes from a place on; -1 at the end. */
    int read(ByteBuffer into, long at) throws IOException;

    /** Returns once all that was written is on the disk. */
    void force() throws IOException;

    long size() throws IOException;

    @Override
    void close() throws IOException;

    /** Opens a file to write and read, and makes it where it is not there. */
    static DiskFile open(Path path) throws IOException {
        FileChannel channel = FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
        return new DiskFile() {
            @Override
            public void write(ByteBuffer bytes, long at) throws IOException {
                for (long place = at; bytes.hasRemaining();) {
                    place += channel.write(bytes, place);
                }
            }

            @Override
            public int read(ByteBuffer into, long at) throws IOException {
                return channel.read(into, at);
            }

            @Override
            public void force() throws IOException {
                channel.force(false);
            }

            @Override
            public long size() throws IOException {
                return channel.size();
            }

            @Override
            public void close() throws IOException {
                channel.close();
            }
        };
    }
}
