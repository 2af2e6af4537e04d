package griffin.weights;

import griffin.backend.DType;
import griffin.io.AtomicFile;
import griffin.io.FileErrors;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Writes a safetensors file without ever holding its data: declare all tensors, then append their bytes in the same order, then
 * {@link #finish()}, with which the file appears whole; closing an unfinished writer leaves an old target as it was.
 * Input-output errors are {@link UncheckedIOException}s.
 */
public final class SafetensorsWriter implements AutoCloseable {

    /**
     * A large page, and each write begins at a multiple of it: Linux keeps what one call writes in pieces as large as that allows, and
     * only a piece of this size can be mapped as a large page when the file is read as a model ({@link LargePages}).
     */
    private static final int BUFFER_BYTES = (int) LargePages.BYTES;

    private record Entry(String name, DType dtype, long[] shape, long bytes) {}

    private final Path target;
    private final AtomicFile file;
    private final ByteBuffer buffer = ByteBuffer.allocateDirect(BUFFER_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    private final List<Entry> entries = new ArrayList<>();
    private final Set<String> names = new HashSet<>();
    private int current = -1;
    private long left;

    /** Starts a file; nothing appears under the target's name before {@link #finish()}. */
    public SafetensorsWriter(Path target) {
        this.target = target.toAbsolutePath();
        try {
            this.file = new AtomicFile(target);
        } catch (IOException e) {
            throw new UncheckedIOException(target + " cannot be written: " + FileErrors.reason(e), e);
        }
    }

    /** Declares the next tensor; all are declared before the first data. */
    public SafetensorsWriter declare(String name, DType dtype, long... shape) {
        if (current >= 0) {
            throw new IllegalStateException("tensor '" + name + "' declared after data was written to " + target);
        }
        if (!names.add(name)) {
            throw new IllegalArgumentException("tensor '" + name + "' declared twice for " + target);
        }
        long bytes = dtype.bytes();
        for (long axis : shape) {
            bytes = Math.multiplyExact(bytes, axis);
        }
        if (bytes < 0) {
            throw new IllegalArgumentException("tensor '" + name + "' has a negative shape " + Shapes.show(shape));
        }
        entries.add(new Entry(name, dtype, shape.clone(), bytes));
        return this;
    }

    /** Appends raw little-endian bytes, as many as wanted, possibly across tensors. */
    public void write(MemorySegment bytes) {
        for (long at = 0; at < bytes.byteSize();) {
            advance();
            long length = Math.min(left, bytes.byteSize() - at);
            append(bytes.asSlice(at, length));
            left -= length;
            at += length;
        }
    }

    private void append(MemorySegment bytes) {
        for (long at = 0; at < bytes.byteSize();) {
            if (!buffer.hasRemaining()) {
                flush();
            }
            int length = (int) Math.min(bytes.byteSize() - at, buffer.remaining());
            MemorySegment.copy(bytes, at, MemorySegment.ofBuffer(buffer), 0, length);
            buffer.position(buffer.position() + length);
            at += length;
        }
    }

    /** Appends floats of the current tensor, rounded to its dtype (to nearest, ties to even). */
    public void write(float[] values, int offset, int length) {
        for (int i = offset; i < offset + length; i++) {
            advance();
            DType type = entries.get(current).dtype();
            if (buffer.remaining() < type.bytes()) {
                flush();
            }
            switch (type) {
                case F32 -> buffer.putFloat(values[i]);
                case BF16 -> buffer.putShort(BFloat16.of(values[i]));
                case F16 -> buffer.putShort(Float.floatToFloat16(values[i]));
                default -> throw new IllegalStateException("tensor '" + entries.get(current).name() + "' is not of a float type: " + type);
            }
            left -= type.bytes();
        }
    }

    /** Appends 32-bit integers of the current I32 tensor. */
    public void write(int[] values) {
        write(MemorySegment.ofArray(toBytes(values)));
    }

    private static byte[] toBytes(int[] values) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asIntBuffer().put(values);
        return bytes.array();
    }

    /** Completes the file, forces it to disk and moves it over the target in one step. */
    public void finish() {
        if (current < 0) {
            writeHeader();
        }
        while (left == 0 && current + 1 < entries.size()) {
            left = entries.get(++current).bytes();
        }
        if (left != 0) {
            throw new IllegalStateException(target + ": tensor '" + entries.get(current).name() + "' lacks " + left + " bytes");
        }
        flush();
        try {
            file.commit();
        } catch (IOException e) {
            throw failed(e);
        }
    }

    /** Removes what was written unless {@link #finish()} completed. */
    @Override
    public void close() {
        try {
            file.close();
        } catch (IOException e) {
            throw failed(e);
        }
    }

    /** Moves on to the tensor that takes the next byte. */
    private void advance() {
        if (current < 0) {
            writeHeader();
        }
        while (left == 0) {
            if (current + 1 >= entries.size()) {
                throw new IllegalStateException(target + ": more data than its " + entries.size() + " tensors hold");
            }
            left = entries.get(++current).bytes();
        }
    }

    private void writeHeader() {
        StringBuilder json = new StringBuilder("{\"__metadata__\":{\"format\":\"pt\"}");
        long begin = 0;
        for (Entry entry : entries) {
            long end = Math.addExact(begin, entry.bytes());
            json.append(",").append(quoted(entry.name())).append(":{\"dtype\":\"").append(entry.dtype()).append("\",\"shape\":")
                    .append(Shapes.show(entry.shape()).replace(" ", "")).append(",\"data_offsets\":[").append(begin).append(',').append(end)
                    .append("]}");
            begin = end;
        }
        byte[] header = json.append('}').toString().getBytes(StandardCharsets.UTF_8);
        int padding = -header.length & 7;
        ByteBuffer bytes = ByteBuffer.allocate(8 + header.length + padding).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putLong(header.length + padding).put(header);
        while (bytes.hasRemaining()) {
            bytes.put((byte) ' ');
        }
        current = 0;
        left = entries.isEmpty() ? 0 : entries.getFirst().bytes();
        append(MemorySegment.ofBuffer(bytes.flip()));
    }

    private static String quoted(String name) {
        StringBuilder text = new StringBuilder("\"");
        for (char c : name.toCharArray()) {
            if (c < ' ' || c == '"' || c == '\\') {
                text.append(String.format("\\u%04x", (int) c));
            } else {
                text.append(c);
            }
        }
        return text.append('"').toString();
    }

    private void flush() {
        try {
            file.write(buffer.flip());
        } catch (IOException e) {
            throw failed(e);
        }
        buffer.clear();
    }

    private UncheckedIOException failed(IOException e) {
        return new UncheckedIOException(target + " cannot be written: " + FileErrors.reason(e), e);
    }
}
