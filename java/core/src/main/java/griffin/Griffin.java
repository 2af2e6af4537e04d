package griffin;

import griffin.backend.Backend;
import griffin.backend.DeviceInfo;
import griffin.backend.StateLayout;
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
import java.util.OptionalLong;
import java.util.function.Supplier;

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

    private final ModelFiles files;
    private final Arena arena = Arena.ofShared();
    private final Backend backend;
    private final String deviceReason;
    private final GriffinConfig config;
    private final GenerationConfig generation;
    private final WeightFiles weights;
    private final WeightPlace weightPlace;
    private final ModelRunner runner;
    private final StatePool pool;
    private final States states;
    private final Turn turn;
    private Tokenizer tokenizer;

    Griffin(GriffinBuilder b) {
        files = b.files;
        turn = new Turn(files);
        config = b.config();
        generation = GenerationConfig.read(files);
        Devices.Choice choice = b.choose();
        backend = b.backend.apply(choice.backend());
        deviceReason = choice.reason();
        try {
            weightPlace = b.weights.with(backend);
            weights = openWeights(b);
            if (weightPlace == WeightPlace.MAPPED) {
                weights.wishForLargePages();
            }
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
            weights.settle(); // the first read of a tensor already brings megabytes around it into memory
            GriffinModel model = new GriffinModel(backend, config, weights, bytes -> {
                loaded[0] += bytes;
                if (weightPlace != WeightPlace.MEMORY) { // the copy has been told already
                    b.loading.loaded(loaded[0], weights.bytes());
                }
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

    /** Says where the weights will not fit, and copies them where that was asked for. */
    private WeightFiles openWeights(GriffinBuilder b) {
        OptionalLong free = b.freeMemory.get();
        if (weightPlace != WeightPlace.MEMORY) {
            WeightFiles mapped = WeightFiles.open(files, arena);
            weightPlace.warn(mapped.bytes(), free).ifPresent(b.notices);
            return mapped;
        }
        long weightBytes;
        try (Arena headers = Arena.ofShared()) { // what is wrong is said before anything is copied
            WeightFiles found = WeightFiles.open(files, headers);
            GriffinModel.requireWeights(config, found);
            weightBytes = found.bytes();
        }
        weightPlace.require(weightBytes, free);
        try {
            return WeightFiles.open(files.copied(bytes -> b.loading.loaded(Math.min(bytes, weightBytes), weightBytes)), arena);
        } catch (OutOfMemoryError e) {
            throw weightPlace.refused(weightBytes, "the system gives no more", e);
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
    public static GriffinBuilder builder(ModelFiles files) {
        return new GriffinBuilder(files);
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

    /** Where the weights are when a token reads them. */
    public WeightPlace weightPlace() {
        return weightPlace;
    }

    /** Bytes of the weights that this process reads through pages of 2 MiB or more; known on Linux alone. */
    public OptionalLong weightBytesInLargePages() {
        return exclusively(weights::bytesInLargePages);
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
