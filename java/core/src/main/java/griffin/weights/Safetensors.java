package griffin.weights;

import griffin.backend.DType;
import griffin.error.ModelFormatException;
import griffin.json.Excerpt;
import griffin.json.Json;
import griffin.json.JsonObject;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * One safetensors file: eight bytes of header length, a JSON header, the tensors' bytes. Opening checks the whole header, touches no
 * data and copies nothing but the header; a tensor is a slice of the mapped file.
 */
public final class Safetensors {

    /** Largest header in bytes, the limit of the format's own library. */
    static final long MAX_HEADER_BYTES = Json.MAX_BYTES;

    private static final int LENGTH_BYTES = 8;
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final byte[] LFS_POINTER = "version https://git-lfs".getBytes(StandardCharsets.US_ASCII);

    /** A header entry; dtype as spelled in the file, since unknown ones matter only when asked for. Offsets in bytes of the data. */
    private record Entry(String name, String dtype, long[] shape, long begin, long end) {}

    private final String file;
    private final MemorySegment data;
    private final Map<String, Entry> entries;
    private final Map<String, String> metadata;

    private Safetensors(String file, MemorySegment data, Map<String, Entry> entries, Map<String, String> metadata) {
        this.file = file;
        this.data = data;
        this.entries = entries;
        this.metadata = metadata;
    }

    /**
     * Opens and checks a file.
     *
     * @param arena owns the mapping; the tensors live as long as it does
     * @throws ModelFormatException naming the file, the tensor, what was expected and what was found
     */
    public static Safetensors open(ModelFiles files, String name, Arena arena) {
        String file = files.describe(name);
        MemorySegment all = files.map(name, arena);
        int headerBytes = headerBytes(all, file);
        JsonObject header = Json.object(all.asSlice(LENGTH_BYTES, headerBytes).toArray(ValueLayout.JAVA_BYTE), file + " (header)");
        MemorySegment data = all.asSlice(LENGTH_BYTES + headerBytes);
        Map<String, Entry> entries = new LinkedHashMap<>();
        Map<String, String> metadata = new LinkedHashMap<>();
        for (String key : header.keys()) {
            if (key.equals("__metadata__")) {
                JsonObject values = header.object(key);
                values.keys().forEach(k -> metadata.put(k, values.string(k)));
            } else {
                entries.put(key, entry(header, key, file));
            }
        }
        checkLayout(file, data.byteSize(), entries);
        return new Safetensors(file, data, entries, metadata);
    }

    private static int headerBytes(MemorySegment all, String file) {
        long size = all.byteSize();
        if (size >= LFS_POINTER.length && all.asSlice(0, LFS_POINTER.length).mismatch(MemorySegment.ofArray(LFS_POINTER)) < 0) {
            throw new ModelFormatException(
                    file + " is a Git LFS pointer of " + size + " bytes, not the weights: fetch it with 'git lfs pull'");
        }
        if (size < LENGTH_BYTES) {
            throw new ModelFormatException(
                    file + " is truncated: expected at least " + LENGTH_BYTES + " bytes of header length, found " + size
                            + "; download it again");
        }
        long length = all.get(LONG, 0);
        if (length < 2 || length > MAX_HEADER_BYTES) {
            throw new ModelFormatException(file + ": header length expected from 2 to " + MAX_HEADER_BYTES + " bytes, found "
                    + Long.toUnsignedString(length) + ": damaged, or not a safetensors file");
        }
        if (length > size - LENGTH_BYTES) {
            throw new ModelFormatException(file + " is truncated: header length expected at most " + (size - LENGTH_BYTES)
                    + " bytes (the rest of the file), found " + length + "; download it again");
        }
        return (int) length;
    }

    private static Entry entry(JsonObject header, String name, String file) {
        JsonObject tensor = header.object(name);
        String dtype = tensor.string("dtype");
        long[] shape = longs(tensor, "shape");
        long[] offsets = longs(tensor, "data_offsets");
        if (offsets.length != 2 || offsets[0] > offsets[1]) {
            throw tensor.fault("data_offsets", "two offsets in order");
        }
        Entry entry = new Entry(name, dtype, shape, offsets[0], offsets[1]);
        known(dtype).ifPresent(type -> checkBytes(entry, type, file));
        return entry;
    }

    private static void checkBytes(Entry entry, DType type, String file) {
        long expected = type.bytes();
        for (long axis : entry.shape()) {
            if (axis != 0 && expected > Long.MAX_VALUE / axis) {
                throw tensorFault(file, entry.name(), "shape " + Shapes.show(entry.shape()) + " is absurd: its size in bytes overflows");
            }
            expected *= axis;
        }
        long found = entry.end() - entry.begin();
        if (found != expected) {
            throw tensorFault(file, entry.name(),
                    "expected " + expected + " bytes for " + type + " " + Shapes.show(entry.shape()) + ", found "
                            + found + " (data_offsets " + entry.begin() + " to " + entry.end() + ")");
        }
    }

    /** The tensors must tile the data: each begins where the one before it ends. */
    private static void checkLayout(String file, long dataBytes, Map<String, Entry> entries) {
        List<Entry> sorted = new ArrayList<>(entries.values());
        sorted.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
        long end = 0;
        Entry before = null;
        for (Entry entry : sorted) {
            if (entry.end() > dataBytes) {
                throw tensorFault(file, entry.name(),
                        "data_offsets " + entry.begin() + " to " + entry.end() + " expected within the file's "
                                + dataBytes + " data bytes: truncated or damaged; download it again");
            }
            if (entry.begin() != end) {
                String fault = entry.begin() < end ? "overlaps " : "leaves a hole after ";
                throw tensorFault(file, entry.name(), fault + named(before) + ": expected to begin at " + end + ", found " + entry.begin());
            }
            end = entry.end();
            before = entry;
        }
        if (end != dataBytes) {
            throw new ModelFormatException(
                    file + ": expected the data to end with " + named(before) + " at byte " + end + ", found " + dataBytes
                            + " bytes: " + (dataBytes - end) + " bytes belong to no tensor");
        }
    }

    private static String named(Entry entry) {
        return entry == null ? "the header" : "tensor '" + Excerpt.of(entry.name()) + "'";
    }

    /** The file's full path. */
    public String file() {
        return file;
    }

    /** The names of the tensors, in the order of the header. */
    public Set<String> names() {
        return Collections.unmodifiableSet(entries.keySet());
    }

    /** The free-form strings of the header, often {@code format}. */
    public Map<String, String> metadata() {
        return Collections.unmodifiableMap(metadata);
    }

    /** All tensors, as they lie in memory. */
    MemorySegment data() {
        return data;
    }

    /** Bytes of all tensors together. */
    public long dataBytes() {
        return data.byteSize();
    }

    /**
     * A tensor, or empty if there is none of this name.
     *
     * @throws ModelFormatException if its dtype is one this library does not read
     */
    public Optional<Tensor> find(String name) {
        Entry entry = entries.get(name);
        if (entry == null) {
            return Optional.empty();
        }
        DType type = known(entry.dtype()).orElseThrow(() -> tensorFault(file, name, "expected dtype F32, BF16, F16 or I32, found "
                + Excerpt.of(entry.dtype()) + ": convert the weights to bfloat16"));
        return Optional.of(new Tensor(name, type, entry.shape(), data.asSlice(entry.begin(), entry.end() - entry.begin()), file));
    }

    private static Optional<DType> known(String name) {
        for (DType type : DType.values()) {
            if (type.name().equals(name)) {
                return Optional.of(type);
            }
        }
        return Optional.empty();
    }

    private static long[] longs(JsonObject tensor, String key) {
        List<?> list = tensor.list(key);
        if (list.size() > Shapes.MAX_RANK) {
            throw tensor.fault(key, "at most " + Shapes.MAX_RANK + " integers");
        }
        long[] values = new long[list.size()];
        for (int i = 0; i < values.length; i++) {
            if (!(list.get(i) instanceof Long value) || value < 0) {
                throw tensor.fault(key, "a list of integers from 0 to " + Long.MAX_VALUE);
            }
            values[i] = value;
        }
        return values;
    }

    private static ModelFormatException tensorFault(String file, String tensor, String what) {
        return new ModelFormatException(file + ": tensor '" + Excerpt.of(tensor) + "' " + what);
    }
}
