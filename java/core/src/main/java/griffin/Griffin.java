package griffin;

import griffin.backend.Backend;
import griffin.backend.DType;
import griffin.backend.DeviceInfo;
import griffin.backend.StateLayout;
import griffin.error.InvalidRequestException;
import griffin.error.ModelFormatException;
import griffin.model.GenerationConfig;
import griffin.model.GriffinConfig;
import griffin.model.GriffinModel;
import griffin.model.ModelRunner;
import griffin.sampling.SamplingParams;
import griffin.session.StatePool;
import griffin.session.States;
import griffin.tokenizer.Tokenizer;
import griffin.weights.ModelFiles;
import griffin.weights.WeightFiles;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;

/**
 * A Griffin model, opened on a device. Sessions of one model may be used from several threads; they take turns.
 *
 * <pre>{@code
 * try (Griffin griffin = Griffin.open(Path.of("recurrentgemma-2b-it")); Session session = griffin.newSession()) {
 *     session.generate("Once upon a time", GenerationOptions.DEFAULT, System.out::print);
 *     session.save(Path.of("story.state"));
 * }
 * }</pre>
 */
public final class Griffin implements AutoCloseable {

    static final int MOST_SESSIONS = 1 << 20;
    private static final String TOKENIZER = ModelInfo.TOKENIZER;
    private static final int MOST_WINDOW = 1 << 20;
    private static final int MOST_PARALLEL = 1 << 12;

    private final ModelFiles files;
    private final Arena arena = Arena.ofShared();
    private final Backend backend;
    private final String deviceReason;
    private final GriffinConfig config;
    private final GenerationConfig generation;
    private final WeightFiles weights;
    private final ModelRunner runner;
    private final StatePool pool;
    private final States states;
    private final Turn turn;
    private Tokenizer tokenizer;

    private Griffin(Builder b) {
        files = b.files;
        turn = new Turn(files);
        config = b.config();
        generation = GenerationConfig.read(files);
        Devices.Choice choice = b.choose();
        backend = b.backend.apply(choice.backend());
        deviceReason = choice.reason();
        try {
            weights = WeightFiles.open(files, arena);
            if (b.check) {
                weights.check();
            }
            StateLayout layout = GriffinModel.stateLayout(config);
            int chunk = b.chunk == 0 ? backend.defaultChunk() : b.chunk;
            MemoryCheck memory = new MemoryCheck(backend, config, weights, chunk);
            int sessions = b.memory > 0 ? memory.sessions(b.memory, b.parallel) : Math.max(b.sessions, b.parallel);
            int parallel = Math.min(b.parallel, sessions);
            memory.require(sessions, parallel);
            pool = new StatePool(backend, layout, sessions);
            long[] loaded = {0};
            GriffinModel model = new GriffinModel(backend, config, weights, bytes -> {
                loaded[0] += bytes;
                b.loading.loaded(loaded[0], weights.bytes());
            });
            runner = new ModelRunner(backend, model, pool.states(), MemoryCheck.rows(chunk, parallel), parallel, chunk);
            runner.warmUp();
            states = new States(runner, pool, config, weights);
        } catch (Throwable e) {
            backend.close();
            arena.close();
            throw e;
        }
    }

    /**
     * Opens a Hugging Face model directory on the best device.
     *
     * @throws ModelFormatException when it is not a complete Griffin model
     */
    public static Griffin open(Path directory) {
        return builder(ModelFiles.of(directory)).open();
    }

    /** Opens a model that travels in a jar, such as the embedded one. */
    public static Griffin open(ModelFiles files) {
        return builder(files).open();
    }

    /** For everything that can be chosen when opening a model. */
    public static Builder builder(ModelFiles files) {
        return new Builder(files);
    }

    /** How to open a model. */
    public static final class Builder {

        private final ModelFiles files;
        private String device = "auto";
        private int threads;
        private int sessions = 2;
        private int parallel = 1;
        private long memory;
        private int chunk;
        private int window;
        private DType operands = DType.BF16;
        private Consumer<String> notices = notice -> {};
        private LoadListener loading = (bytes, of) -> {};
        private boolean check;
        private UnaryOperator<Backend> backend = UnaryOperator.identity();

        private Builder(ModelFiles files) {
            this.files = files;
        }

        /** auto (the default), cpu, cuda or cuda:1 and so on, metal, or reference. */
        public Builder device(String value) {
            device = value;
            return this;
        }

        /** Threads of the CPU backend; 0, the default, is all cores. */
        public Builder threads(int value) {
            threads = require("threads", value, 0, 4096);
            return this;
        }

        /** How many sessions can be open at once, 2 by default; each costs its state, whatever its length. */
        public Builder sessions(int value) {
            sessions = require("sessions", value, 1, MOST_SESSIONS);
            return this;
        }

        /** The most sequences of one step, 1 by default: what a {@link Scheduler} runs side by side. There are at least as many sessions. */
        public Builder parallel(int value) {
            parallel = require("parallel", value, 1, MOST_PARALLEL);
            return this;
        }

        /**
         * A budget instead of a number of sessions: there are as many as fit in so many bytes beside the weights and the buffers, and
         * fewer sequences in a step if they are fewer. {@link Griffin#sessions} tells how many. On a CPU the weights count, too, although
         * they are in mapped files.
         */
        public Builder memory(long bytes) {
            if (bytes < 1) {
                throw new InvalidRequestException("memory must be at least 1 byte, not " + bytes);
            }
            memory = bytes;
            return this;
        }

        /** For tests: what is to be used instead of the device that was chosen. */
        Builder backend(UnaryOperator<Backend> value) {
            backend = value;
            return this;
        }

        /**
         * What a GPU multiplies: {@code bf16} (the default) or {@code f32}, in which it sums either way. The CPU and the reference
         * compute in float32.
         */
        public Builder compute(String value) {
            operands = switch (value) {
                case "bf16" -> DType.BF16;
                case "f32" -> DType.F32;
                default -> throw new InvalidRequestException("compute must be bf16 or f32, not '" + value + "'");
            };
            return this;
        }

        /** Receives single sentences that the user should read, such as a missing library that makes a device slower. */
        public Builder notices(Consumer<String> value) {
            notices = value;
            return this;
        }

        /** Told how many bytes of the weights have been loaded, of how many. */
        public interface LoadListener {
            void loaded(long bytes, long of);
        }

        /** Is told while {@link #open} loads weights. */
        public Builder loading(LoadListener value) {
            loading = value;
            return this;
        }

        /** Prompt tokens read in one step; by default 256 on a CPU and on a GPU 2,048, or 8,192 with 40 GiB free. */
        public Builder chunk(int value) {
            chunk = require("chunk", value, 1, 1 << 16);
            return this;
        }

        /**
         * Tokens that attention looks back on, instead of as many as the model was trained with (0, the default); a notice says so where
         * it differs. Its states are no states of the model as trained.
         */
        public Builder window(int tokens) {
            window = require("window", tokens, 0, MOST_WINDOW);
            return this;
        }

        /** Whether all weights are first read and refused if one is NaN or infinite. */
        public Builder check(boolean value) {
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
            return ModelInfo.read(files, this::config, this::choose, chunk, parallel, check);
        }

        private GriffinConfig config() {
            GriffinConfig trained = GriffinConfig.read(files);
            if (window == 0 || window == trained.window()) {
                return trained;
            }
            notices.accept("the window is " + window + " tokens, and the model was trained with " + trained.window()
                    + ": what it writes is not what it was trained to write");
            return trained.withWindow(window);
        }

        private Devices.Choice choose() {
            return Devices.open(device, threads, operands, notices);
        }

        private static int require(String name, int value, int least, int most) {
            if (value < least || value > most) {
                throw new InvalidRequestException(name + " must be " + least + " to " + most + ", not " + value);
            }
            return value;
        }
    }

    /** A session that has read nothing yet. */
    public Session newSession() {
        return exclusively(() -> new Session(this, states.create()));
    }

    /** A session that goes on where {@link Session#save} left off. */
    public Session load(Path file) {
        return States.read(file, bytes -> exclusively(() -> new Session(this, states.restore(bytes, file.toString()))));
    }

    /** A session that goes on where {@link Session#snapshot} left off. */
    public Session restore(byte[] snapshot) {
        return exclusively(() -> new Session(this, states.restore(MemorySegment.ofArray(snapshot), "the snapshot")));
    }

    /** What tells this model's states from another's: SHA-256 over its settings and samples of every weight, 32 bytes. */
    public byte[] modelIdentity() {
        return exclusively(() -> states.identity().clone());
    }

    /**
     * The model's tokenizer.
     *
     * @throws ModelFormatException when the model has none that this library reads
     */
    public Tokenizer tokenizer() {
        return exclusively(() -> {
            if (tokenizer == null) {
                tokenizer = ModelInfo.readTokenizer(files, config);
            }
            return tokenizer;
        });
    }

    /** Whether the model comes with a {@code tokenizer.json}; without one, it works on ids alone. */
    public boolean hasTokenizer() {
        return files.exists(TOKENIZER);
    }

    /** The id that begins every text, if the model names one. */
    public Optional<Integer> bosId() {
        return ModelInfo.bosId(config, generation);
    }

    /** The ids that end a text: those of generation_config.json, else of config.json, and the tokenizer's {@code <end_of_turn>}. */
    public int[] endIds() {
        OptionalInt endOfTurn = hasTokenizer() ? ModelInfo.endOfTurn(tokenizer()) : OptionalInt.empty();
        return ModelInfo.endIds(config, generation, endOfTurn).stream().mapToInt(i -> i).toArray();
    }

    /** What the model's generation_config.json suggests, else greedy; with a fresh random seed. */
    public SamplingParams defaultSampling() {
        return new SamplingParams(generation.temperature(), generation.topK(), generation.topP(), generation.minP(),
                generation.repetitionPenalty(), new SecureRandom().nextLong(), -1);
    }

    /** Most tokens to generate where nobody says: what generation_config.json suggests, else 400. */
    public int defaultMaxTokens() {
        return generation.maxNewTokens().orElse(GenerationOptions.DEFAULT.maxTokens());
    }

    public GriffinConfig config() {
        return config;
    }

    /** What the model runs on. */
    public DeviceInfo device() {
        return backend.device();
    }

    /** Why that device: one sentence. */
    public String deviceReason() {
        return deviceReason;
    }

    /** What the backend has to tell about its speed and memory, for {@code --stats}: name and value, nothing on a CPU. */
    public Map<String, String> deviceStatistics(double tokensPerSecond) {
        return exclusively(() -> backend.statistics(tokensPerSecond));
    }

    /** Sessions that can be open at once, those of a scheduler included. */
    public int sessions() {
        return pool.states().slots();
    }

    /** The most sequences of one step. */
    public int parallel() {
        return runner.maxSequences();
    }

    /** Prompt tokens read in one step. */
    public int chunk() {
        return runner.chunk();
    }

    /** Bytes of the weights in the model's files. */
    public long weightBytes() {
        return weights.bytes();
    }

    /** Bytes of one session's state on this device, at any length of text. */
    public long stateBytes() {
        return config.stateBytes(backend.operandType());
    }

    /** Bytes of the buffers that all sessions share. */
    public long workspaceBytes() {
        return runner.workspaceBytes();
    }

    /** What a failed step is to be reported as. */
    Throwable explain(Throwable e) {
        try {
            return e instanceof InternalError internal ? ChangedFile.explain(internal, files) : e;
        } catch (InternalError other) {
            return other;
        }
    }

    States states() {
        return states;
    }

    ModelRunner runner() {
        return runner;
    }

    StatePool pool() {
        return pool;
    }

    /** Runs with the device to oneself. */
    <T> T exclusively(Supplier<T> work) {
        return turn.exclusively(work);
    }

    /** Runs device steps, {@link #exclusively}; from within them no others can be run. */
    <T> T inSteps(Supplier<T> steps) {
        return turn.inSteps(steps);
    }

    /** Runs with the device to oneself, or not at all once the model is closed. */
    void exclusivelyIfOpen(Runnable work) {
        turn.exclusivelyIfOpen(work);
    }

    /**
     * Frees the device and unmaps the files; sessions must not be used afterwards. Waits for a generation under way.
     *
     * @throws IllegalStateException within a listener of a generation
     */
    @Override
    public void close() {
        turn.close(() -> {
            backend.close();
            arena.close();
        });
    }
}
