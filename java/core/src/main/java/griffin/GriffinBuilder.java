package griffin;

import griffin.backend.Backend;
import griffin.backend.DType;
import griffin.error.InvalidRequestException;
import griffin.model.GriffinConfig;
import griffin.weights.ModelFiles;
import java.util.OptionalLong;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;

/** How to open a model: {@link Griffin#builder}. */
public final class GriffinBuilder {

    private static final int MOST_WINDOW = 1 << 20;
    private static final int MOST_PARALLEL = 1 << 12;

    final ModelFiles files;
    String device = "auto";
    int threads;
    int sessions = 2;
    int parallel = 1;
    long memory;
    int chunk;
    private int window;
    DType operands = DType.BF16;
    Consumer<String> notices = notice -> {};
    LoadListener loading = (bytes, of) -> {};
    boolean check;
    WeightPlace weights = WeightPlace.MAPPED;
    Supplier<OptionalLong> freeMemory = FreeMemory::read;
    UnaryOperator<Backend> backend = UnaryOperator.identity();

    GriffinBuilder(ModelFiles files) {
        this.files = files;
    }

    /** auto (the default), cpu, cuda or cuda:1 and so on, metal, or reference. */
    public GriffinBuilder device(String value) {
        device = value;
        return this;
    }

    /** Threads of the CPU backend; 0, the default, is all cores. */
    public GriffinBuilder threads(int value) {
        threads = require("threads", value, 0, 4096);
        return this;
    }

    /** How many sessions can be open at once, 2 by default; each costs its state, whatever its length. */
    public GriffinBuilder sessions(int value) {
        sessions = require("sessions", value, 1, Griffin.MOST_SESSIONS);
        return this;
    }

    /** The most sequences of one step, 1 by default: what a {@link Scheduler} runs side by side. There are at least as many sessions. */
    public GriffinBuilder parallel(int value) {
        parallel = require("parallel", value, 1, MOST_PARALLEL);
        return this;
    }

    /**
     * A budget instead of a number of sessions: there are as many as fit in so many bytes beside the weights and the buffers, and
     * fewer sequences in a step if they are fewer. {@link Griffin#sessions} tells how many. On a CPU the weights count, too, even
     * where they are in mapped files.
     */
    public GriffinBuilder memory(long bytes) {
        if (bytes < 1) {
            throw new InvalidRequestException("memory must be at least 1 byte, not " + bytes);
        }
        memory = bytes;
        return this;
    }

    /** For tests: what is to be used instead of the device that was chosen. */
    GriffinBuilder backend(UnaryOperator<Backend> value) {
        backend = value;
        return this;
    }

    /**
     * What a GPU multiplies: {@code bf16} (the default) or {@code f32}, in which it sums either way. The CPU and the reference
     * compute in float32.
     */
    public GriffinBuilder compute(String value) {
        operands = switch (value) {
            case "bf16" -> DType.BF16;
            case "f32" -> DType.F32;
            default -> throw new InvalidRequestException("compute must be bf16 or f32, not '" + value + "'");
        };
        return this;
    }

    /**
     * Where the CPU multiplies weights: {@code mapped} (the default), in the model's files, or {@code memory}, in a copy of them. The
     * copy takes as much memory as the weights have, and its time to open; it is for systems that read mapped files slowly, see the
     * numbers in {@code benchmarks/README.md}. A GPU has its own copy in any case.
     */
    public GriffinBuilder weights(String value) {
        weights = WeightPlace.of(value);
        return this;
    }

    /** For tests: what memory is free. */
    GriffinBuilder freeMemory(Supplier<OptionalLong> value) {
        freeMemory = value;
        return this;
    }

    /** Receives single sentences that the user should read, such as a missing library that makes a device slower. */
    public GriffinBuilder notices(Consumer<String> value) {
        notices = value;
        return this;
    }

    /** Told how many bytes of the weights have been loaded, of how many: by several threads, but one at a time. */
    public interface LoadListener {
        void loaded(long bytes, long of);
    }

    /** Is told while {@link #open} loads weights. */
    public GriffinBuilder loading(LoadListener value) {
        loading = value;
        return this;
    }

    /** Prompt tokens read in one step; by default 256 on a CPU and on a GPU 2,048, or 8,192 with 40 GiB free. */
    public GriffinBuilder chunk(int value) {
        chunk = require("chunk", value, 1, 1 << 16);
        return this;
    }

    /**
     * Tokens that attention looks back on, instead of as many as the model was trained with (0, the default); a notice says so where
     * it differs. Its states are no states of the model as trained.
     */
    public GriffinBuilder window(int tokens) {
        window = require("window", tokens, 0, MOST_WINDOW);
        return this;
    }

    /** Whether all weights are first read and refused if one is NaN or infinite. */
    public GriffinBuilder check(boolean value) {
        check = value;
        return this;
    }

    public Griffin open() {
        try {
            return new Griffin(this);
        } catch (InternalError e) {
            throw ChangedFile.explain(e, files);
        }
    }

    /** What {@link #open} would open, from headers alone: in a fraction of the time, and also where memory is too small for it. */
    public ModelInfo info() {
        return ModelInfo.read(this);
    }

    GriffinConfig config() {
        GriffinConfig trained = GriffinConfig.read(files);
        if (window == 0 || window == trained.window()) {
            return trained;
        }
        notices.accept("the window is " + window + " tokens, and the model was trained with " + trained.window()
                + ": what it writes is not what it was trained to write");
        return trained.withWindow(window);
    }

    Devices.Choice choose() {
        return Devices.open(device, threads, operands, notices);
    }

    private static int require(String name, int value, int least, int most) {
        if (value < least || value > most) {
            throw new InvalidRequestException(name + " must be " + least + " to " + most + ", not " + value);
        }
        return value;
    }
}
