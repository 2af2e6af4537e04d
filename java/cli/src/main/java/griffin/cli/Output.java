package griffin.cli;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;

/**
 * A standard stream for text: UTF-8 whatever the locale, every piece sent at once. When the reader of a pipe has gone, what follows is
 * dropped and {@link #closed()} says so; that is no error.
 */
final class Output {

    private final OutputStream stream;
    private final String name;
    private volatile boolean used;
    private volatile boolean closed;
    private volatile boolean hungUp;

    /** @param name what messages call the stream */
    Output(OutputStream stream, String name) {
        this.stream = stream;
        this.name = name;
    }

    /** Writes a piece of text; throws {@link UncheckedIOException} when it cannot be written though there is a reader. */
    void print(String text) {
        if (!text.isEmpty()) {
            print(text.getBytes(StandardCharsets.UTF_8));
        }
    }

    /** The same of bytes that are no text. */
    synchronized void print(byte[] bytes) {
        if (closed) {
            return;
        }
        used = true;
        try {
            stream.write(bytes);
            stream.flush();
        } catch (IOException e) {
            closed = true;
            if (!hungUp && !readerGone(e)) {
                throw new UncheckedIOException(name + " cannot be written: " + e.getMessage(), e);
            }
        }
    }

    void println(String text) {
        print(text + "\n");
    }

    /** The terminal has gone: from now on a failed write is no error. */
    void hangUp() {
        hungUp = true;
    }

    /** Whether anything was written, or tried to be. */
    boolean used() {
        return used;
    }

    /** Whether nobody reads any more. */
    boolean closed() {
        return closed;
    }

    /** The words of Unix and of Windows; Java has no exception of its own for it. */
    private static boolean readerGone(IOException e) {
        String message = String.valueOf(e.getMessage()).toLowerCase(Locale.ROOT);
        return message.contains("broken pipe") || message.contains("pipe is being closed") || message.contains("pipe has been ended");
    }
}
