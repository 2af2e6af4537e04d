package griffin.cli;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;

/** Lines of UTF-8 text, each as soon as it is complete; a byte at a time is fast enough for what people type. */
final class Lines {

    private final InputStream in;
    private long before;

    Lines(InputStream in) {
        this.in = in;
    }

    /**
     * The next line without its end, or null at the end of the input.
     *
     * @throws griffin.error.InvalidRequestException when the line is no UTF-8; the one after it can be read
     */
    String next() {
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        try {
            int b = in.read();
            if (b < 0) {
                return null;
            }
            while (b >= 0 && b != '\n') {
                line.write(b);
                b = in.read();
            }
        } catch (IOException e) {
            throw new UncheckedIOException("standard input cannot be read: " + e.getMessage(), e);
        }
        long first = before;
        before += line.size() + 1;
        String text = Utf8.text(line.toByteArray(), "standard input", first);
        return text.endsWith("\r") ? text.substring(0, text.length() - 1) : text;
    }
}
