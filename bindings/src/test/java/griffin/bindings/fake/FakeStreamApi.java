package griffin.bindings.fake;

import griffin.bindings.cuda.Cuda;
import griffin.bindings.fake.FakeStreams.Event;
import griffin.bindings.fake.FakeStreams.Executable;
import griffin.bindings.fake.FakeStreams.Graph;
import griffin.bindings.fake.FakeStreams.Stream;
import griffin.bindings.fake.FakeStreams.Work;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/** The fake's side of streams, events and graphs. Methods are named and typed like the driver's functions. */
final class FakeStreamApi {

    private static final float NANOSECONDS_PER_MILLISECOND = 1e6f;

    private FakeStreamApi() {}

    static int cuStreamCreate(MemorySegment stream, int flags) {
        return FakeDeviceApi.write(stream, streams().add(new Stream()));
    }

    static int cuStreamDestroy_v2(MemorySegment stream) {
        return streams().remove(stream, Stream.class);
    }

    static int cuStreamSynchronize(MemorySegment stream) {
        return streams().await(stream, Cuda::CUDA_SUCCESS);
    }

    static int cuStreamQuery(MemorySegment stream) {
        return streams().await(stream, Cuda::CUDA_SUCCESS);
    }

    static int cuStreamWaitEvent(MemorySegment stream, MemorySegment event, int flags) {
        if (streams().get(event, Event.class) == null) {
            return Cuda.CUDA_ERROR_INVALID_HANDLE();
        }
        return streams().issue(stream, graph -> Cuda.CUDA_SUCCESS());
    }

    static int cuStreamBeginCapture_v2(MemorySegment stream, int mode) {
        Stream found = streams().get(stream, Stream.class);
        if (found == null || found.captured != null) {
            return Cuda.CUDA_ERROR_INVALID_VALUE();
        }
        found.invalidated = false;
        found.captured = new CopyOnWriteArrayList<>();
        return Cuda.CUDA_SUCCESS();
    }

    static int cuStreamEndCapture(MemorySegment stream, MemorySegment graph) {
        Stream found = streams().get(stream, Stream.class);
        if (found == null || found.captured == null) {
            return Cuda.CUDA_ERROR_INVALID_VALUE();
        }
        List<Work> captured = found.captured;
        found.captured = null;
        if (found.invalidated) {
            FakeDeviceApi.write(graph, MemorySegment.NULL);
            return Cuda.CUDA_ERROR_STREAM_CAPTURE_INVALIDATED();
        }
        return FakeDeviceApi.write(graph, streams().add(new Graph(captured)));
    }

    static int cuGraphInstantiateWithFlags(MemorySegment executable, MemorySegment graph, long flags) {
        Graph found = streams().get(graph, Graph.class);
        if (found == null) {
            return Cuda.CUDA_ERROR_INVALID_VALUE();
        }
        return FakeDeviceApi.write(executable, streams().add(new Executable(List.copyOf(found.work()))));
    }

    static int cuGraphUpload(MemorySegment executable, MemorySegment stream) {
        return streams().get(executable, Executable.class) == null ? Cuda.CUDA_ERROR_INVALID_VALUE() : Cuda.CUDA_SUCCESS();
    }

    static int cuGraphLaunch(MemorySegment executable, MemorySegment stream) {
        Executable found = streams().get(executable, Executable.class);
        if (found == null) {
            return Cuda.CUDA_ERROR_INVALID_VALUE();
        }
        return streams().issue(stream, graph -> {
            for (Work work : found.work()) {
                int result = work.run(true);
                if (result != Cuda.CUDA_SUCCESS()) {
                    return result;
                }
            }
            return Cuda.CUDA_SUCCESS();
        });
    }

    static int cuGraphExecDestroy(MemorySegment executable) {
        return streams().remove(executable, Executable.class);
    }

    static int cuGraphDestroy(MemorySegment graph) {
        return streams().remove(graph, Graph.class);
    }

    static int cuEventCreate(MemorySegment event, int flags) {
        return FakeDeviceApi.write(event, streams().add(new Event()));
    }

    static int cuEventRecord(MemorySegment event, MemorySegment stream) {
        Event found = streams().get(event, Event.class);
        return found == null ? Cuda.CUDA_ERROR_INVALID_HANDLE() : streams().issue(stream, graph -> {
            found.time = System.nanoTime();
            return Cuda.CUDA_SUCCESS();
        });
    }

    static int cuEventQuery(MemorySegment event) {
        return streams().get(event, Event.class) == null ? Cuda.CUDA_ERROR_INVALID_HANDLE() : Cuda.CUDA_SUCCESS();
    }

    static int cuEventSynchronize(MemorySegment event) {
        return cuEventQuery(event);
    }

    static int cuEventElapsedTime(MemorySegment milliseconds, MemorySegment start, MemorySegment end) {
        Event first = streams().get(start, Event.class);
        Event last = streams().get(end, Event.class);
        if (first == null || last == null || first.time == 0 || last.time == 0) {
            return Cuda.CUDA_ERROR_INVALID_HANDLE();
        }
        float elapsed = (last.time - first.time) / NANOSECONDS_PER_MILLISECOND;
        milliseconds.reinterpret(Float.BYTES).set(ValueLayout.JAVA_FLOAT, 0, elapsed);
        return Cuda.CUDA_SUCCESS();
    }

    static int cuEventElapsedTime_v2(MemorySegment milliseconds, MemorySegment start, MemorySegment end) {
        return cuEventElapsedTime(milliseconds, start, end);
    }

    static int cuEventDestroy_v2(MemorySegment event) {
        return streams().remove(event, Event.class);
    }

    private static FakeStreams streams() {
        return FakeDriver.current().streams;
    }
}
