package griffin.bindings.fake;

import griffin.bindings.cuda.Cuda;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.IntSupplier;

/** Streams, events, graphs and all other handles. Work runs when it is issued, unless the stream captures. */
final class FakeStreams {

    private static final long FIRST_HANDLE = 0x10000;

    private static final long HANDLE_STEP = 16;

    private final AtomicLong nextHandle = new AtomicLong(FIRST_HANDLE);
    private final Map<Long, Object> handles = new ConcurrentHashMap<>();

    /** A new handle for an object. */
    MemorySegment add(Object object) {
        long handle = nextHandle.getAndAdd(HANDLE_STEP);
        handles.put(handle, object);
        return MemorySegment.ofAddress(handle);
    }

    /** The object of a handle, or null if there is none or it is of another kind. */
    <T> T get(MemorySegment handle, Class<T> kind) {
        Object object = handles.get(handle.address());
        return kind.isInstance(object) ? kind.cast(object) : null;
    }

    /** CUDA_ERROR_INVALID_HANDLE if there is no such thing. */
    int remove(MemorySegment handle, Class<?> kind) {
        if (get(handle, kind) == null) {
            return Cuda.CUDA_ERROR_INVALID_HANDLE();
        }
        handles.remove(handle.address());
        return Cuda.CUDA_SUCCESS();
    }

    /** Runs the work, or adds it to the graph that the stream captures. The null stream never captures. */
    int issue(MemorySegment stream, Work work) {
        if (stream.address() == 0) {
            return work.run(false);
        }
        Stream found = get(stream, Stream.class);
        if (found == null) {
            return Cuda.CUDA_ERROR_INVALID_HANDLE();
        }
        List<Work> captured = found.captured;
        if (captured == null) {
            return work.run(false);
        }
        captured.add(work);
        return Cuda.CUDA_SUCCESS();
    }

    /** What a host call that waits for the stream gives: while a capture is on, an error, and the capture is lost. */
    int await(MemorySegment stream, IntSupplier then) {
        Stream found = get(stream, Stream.class);
        if (found == null && stream.address() != 0) {
            return Cuda.CUDA_ERROR_INVALID_HANDLE();
        }
        if (found != null && found.captured != null) {
            found.invalidated = true;
            return Cuda.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED();
        }
        return then.getAsInt();
    }

    List<String> leaks() {
        List<String> leaks = new ArrayList<>();
        // Kernels go with their module.
        handles.values().stream().filter(object -> !(object instanceof Function)).forEach(object -> leaks.add(object.toString()));
        return leaks;
    }

    /** Something that a stream does; {@code true} if a graph does it. Returns a {@code CUresult}. */
    @FunctionalInterface
    interface Work {
        int run(boolean graph);
    }

    /** The work captured so far, or null if the stream captures nothing. */
    static final class Stream {
        volatile List<Work> captured;
        volatile boolean invalidated;

        @Override
        public String toString() {
            return "stream";
        }
    }

    /** When it was last reached, in ns; 0 if never. */
    static final class Event {
        volatile long time;

        @Override
        public String toString() {
            return "event";
        }
    }

    /** A loaded module. */
    static final class Module {
        @Override
        public String toString() {
            return "module";
        }
    }

    record Graph(List<Work> work) {
        @Override
        public String toString() {
            return "graph";
        }
    }

    record Executable(List<Work> work) {
        @Override
        public String toString() {
            return "executable graph";
        }
    }

    record Function(Module module, String name, Map<Integer, Integer> attributes) {}
}
