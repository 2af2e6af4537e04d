package griffin.json;

import griffin.error.ModelFormatException;
import griffin.io.FileErrors;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** Reads JSON files of unknown origin, whole; every fault is a {@link ModelFormatException} that names the file and the position. */
public final class Json {

    /** Largest file that is read, in bytes. */
    public static final int MAX_BYTES = 100_000_000;

    private Json() {}

    /**
     * Reads UTF-8 whose root is an object.
     *
     * @param in   read to its end and closed
     * @param file what messages call it
     */
    public static JsonObject object(InputStream in, String file) {
        try (in) {
            return object(bytes(in, file), file);
        } catch (IOException e) {
            throw unreadable(file, e);
        }
    }

    /** Reads text whose root is an object; {@code file} names it in messages. */
    public static JsonObject object(String json, String file) {
        return object(json.getBytes(StandardCharsets.UTF_8), file);
    }

    /** Reads UTF-8 whose root is an object; {@code file} names it in messages. */
    @SuppressWarnings("unchecked")
    public static JsonObject object(byte[] json, String file) {
        Object root = tree(json, file);
        if (!(root instanceof Map<?, ?>)) {
            throw new ModelFormatException(file + ": expected a JSON object, found " + Excerpt.ofValue(root));
        }
        return new JsonObject((Map<String, Object>) root, file);
    }

    /** Reads UTF-8 to a tree as {@link JsonTree} describes it; {@code file} names it in messages. */
    public static Object tree(byte[] json, String file) {
        JsonScanner scanner = new JsonScanner(json, file);
        if (scanner.peek() < 0) {
            throw new ModelFormatException(file + ": expected JSON, found nothing: is the file complete?");
        }
        Object root = new JsonTree(scanner).value();
        scanner.end();
        return root;
    }

    /**
     * All bytes of a stream, which stays open.
     *
     * @throws ModelFormatException if it cannot be read, or has more than {@link #MAX_BYTES}
     */
    public static byte[] bytes(InputStream in, String file) {
        try {
            byte[] bytes = in.readNBytes(MAX_BYTES);
            if (bytes.length == MAX_BYTES && in.read() >= 0) {
                throw new ModelFormatException(file + ": expected at most " + MAX_BYTES + " bytes of JSON, found more");
            }
            return bytes;
        } catch (IOException e) {
            throw unreadable(file, e);
        }
    }

    private static ModelFormatException unreadable(String file, IOException e) {
        return new ModelFormatException(file + " cannot be read: " + FileErrors.reason(e), e);
    }
}
