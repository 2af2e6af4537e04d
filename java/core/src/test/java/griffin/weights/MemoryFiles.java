package griffin.weights;

import griffin.error.ModelFormatException;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Model files held in memory, as a test makes or damages them. */
final class MemoryFiles implements ModelFiles {

    private final Map<String, byte[]> contents = new TreeMap<>();

    MemoryFiles put(String name, byte[] bytes) {
        contents.put(name, bytes);
        return this;
    }

    MemoryFiles put(String name, String text) {
        return put(name, text.getBytes(StandardCharsets.UTF_8));
    }

    /** A safetensors file with this header and as many zero bytes of data. */
    MemoryFiles safetensors(String name, String header, int dataBytes) {
        return put(name, MemoryFiles.file(header, dataBytes));
    }

    static byte[] file(String header, int dataBytes) {
        byte[] json = header.getBytes(StandardCharsets.UTF_8);
        return ByteBuffer.allocate(8 + json.length + dataBytes).order(ByteOrder.LITTLE_ENDIAN).putLong(json.length).put(json).array();
    }

    @Override
    public String location() {
        return "memory";
    }

    @Override
    public boolean exists(String name) {
        return contents.containsKey(FileNames.checked(name, location()));
    }

    @Override
    public String describe(String name) {
        return "memory/" + FileNames.checked(name, location());
    }

    @Override
    public MemorySegment map(String name, Arena arena) {
        return arena.allocate(Math.max(1, content(name).length)).copyFrom(MemorySegment.ofArray(content(name)))
                .asSlice(0, content(name).length)
                .asReadOnly();
    }

    @Override
    public InputStream open(String name) {
        return new ByteArrayInputStream(content(name));
    }

    @Override
    public List<String> names() {
        return List.copyOf(contents.keySet());
    }

    private byte[] content(String name) {
        byte[] bytes = contents.get(FileNames.checked(name, location()));
        if (bytes == null) {
            throw new ModelFormatException(describe(name) + " does not exist");
        }
        return bytes;
    }
}
