package griffin.model;

import griffin.backend.DType;
import griffin.error.ModelFormatException;
import griffin.json.Json;
import griffin.json.JsonObject;
import griffin.weights.ModelFiles;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;

/** Turns a Hugging Face {@code config.json} into a {@link GriffinConfig}. */
final class ConfigReader {

    private static final String FILE = "config.json";
    private static final String ARCHITECTURE = "RecurrentGemmaForCausalLM";
    private static final String MODEL_TYPE = "recurrent_gemma";
    private static final String ACTIVATION = "gelu_pytorch_tanh";
    private static final List<String> USUAL_BLOCKS = List.of("recurrent", "recurrent", "attention");

    /** Bounds far above any model of this kind, low enough that no product of two or three of them overflows a long. */
    private static final int MAX_WIDTH = 1 << 20;
    private static final int MAX_VOCABULARY = 1 << 24;
    private static final int MAX_WINDOW = 1 << 24;
    private static final int MAX_HEADS = 4096;
    private static final int MAX_LAYERS = 4096;
    private static final long MAX_PARAMETERS = 1L << 40;
    private static final long MAX_STATE_BYTES = 1L << 40;

    private final JsonObject json;

    private ConfigReader(JsonObject json) {
        this.json = json;
    }

    static GriffinConfig read(ModelFiles files) {
        if (!files.exists(FILE)) {
            throw new ModelFormatException(files.describe(FILE) + " does not exist: expected a Hugging Face model directory with " + FILE
                    + ", found " + (files.names().isEmpty() ? "no files" : String.join(", ", files.names().stream().limit(8).toList())));
        }
        return new ConfigReader(Json.object(files.open(FILE), files.describe(FILE))).config();
    }

    static GriffinConfig parse(String text, String file) {
        return new ConfigReader(Json.object(text, file)).config();
    }

    private GriffinConfig config() {
        checkArchitecture();
        checkFixedChoices();
        int width = size("hidden_size", MAX_WIDTH);
        int heads = size("num_attention_heads", MAX_HEADS);
        int layers = size("num_hidden_layers", MAX_LAYERS);
        int lruWidth = sizeOr("lru_width", width, MAX_WIDTH);
        divides(heads, json.has("lru_width") ? "lru_width" : "hidden_size", lruWidth);
        if (!json.has("head_dim")) {
            divides(heads, "hidden_size", width);
        }
        int headWidth = sizeOr("head_dim", width / heads, MAX_WIDTH);
        GriffinConfig config = new GriffinConfig(size("vocab_size", MAX_VOCABULARY), width, lruWidth, mlpWidth(), heads, headWidth,
                sizeOr("attention_window_size", 2048, MAX_WINDOW), layers, (int) json.integer("conv1d_width", 4, 2, 8), blockKinds(layers),
                positive("rms_norm_eps", 1e-6), positive("logits_soft_cap", 30), ropeTheta(), rotaryWidth(headWidth),
                json.bool("embeddings_scale_by_sqrt_dim", true), json.bool("tie_word_embeddings", true), TokenIds.one(json, "bos_token_id"),
                TokenIds.list(json, "eos_token_id"), TokenIds.one(json, "pad_token_id"));
        return bounded(config);
    }

    private void checkArchitecture() {
        List<?> architectures = json.has("architectures") ? json.list("architectures") : List.of();
        String type = json.string("model_type", "");
        boolean griffin = type.isEmpty() ? architectures.contains(ARCHITECTURE) : type.equals(MODEL_TYPE);
        if (!griffin) {
            Object found = json.get(type.isEmpty() ? "architectures" : "model_type");
            throw json.fault(type.isEmpty() ? "architectures" : "model_type", found == null
                    ? ARCHITECTURE + " (this is not a Griffin model's config)"
                    : type.isEmpty() ? ARCHITECTURE + ", the Griffin architecture" : MODEL_TYPE + ", the Griffin architecture");
        }
    }

    /** What the file may vary but no Griffin model does; a different value would be computed wrongly, so it is refused. */
    private void checkFixedChoices() {
        if (json.has("num_key_value_heads") && !Long.valueOf(1).equals(json.get("num_key_value_heads"))) {
            throw json.fault("num_key_value_heads", "1 or absent (Griffin's attention shares one key and value head)");
        }
        if (!json.string("hidden_activation", ACTIVATION).equals(ACTIVATION)) {
            throw json.fault("hidden_activation", "\"" + ACTIVATION + "\"");
        }
        if (json.bool("attention_bias", false)) {
            throw json.fault("attention_bias", "false or absent (Griffin's query, key and value projections have no bias)");
        }
    }

    private int mlpWidth() {
        int both = size("intermediate_size", 2 * MAX_WIDTH);
        if (both % 2 != 0) {
            throw json.fault("intermediate_size", "even (it counts both branches of the MLP)");
        }
        return both / 2;
    }

    private List<BlockKind> blockKinds(int layers) {
        String key = json.has("block_types") || !json.has("_block_types") ? "block_types" : "_block_types";
        List<?> cycle = json.has(key) ? json.list(key) : USUAL_BLOCKS;
        if (json.has("_block_types") && !json.list("_block_types").equals(cycle)) {
            throw json.fault("_block_types", "the same as block_types " + cycle);
        }
        if (cycle.isEmpty() || cycle.size() > MAX_LAYERS) {
            throw json.fault(key, "a list of 1 to " + MAX_LAYERS + " block kinds");
        }
        List<BlockKind> kinds = new ArrayList<>(layers);
        for (int i = 0; i < layers; i++) {
            Object kind = cycle.get(i % cycle.size());
            if ("recurrent".equals(kind)) {
                kinds.add(BlockKind.RECURRENT);
            } else if ("attention".equals(kind)) {
                kinds.add(BlockKind.ATTENTION);
            } else {
                throw json.fault(key, "a list of \"recurrent\" and \"attention\"");
            }
        }
        return kinds;
    }

    /** Newer files nest the rotary numbers; where both spellings are present the nested one is the one their writer used. */
    private JsonObject rope(String key) {
        JsonObject nested = json.optionalObject("rope_parameters").orElse(json);
        if (nested != json && !nested.string("rope_type", "default").equals("default")) {
            throw nested.fault("rope_type", "\"default\"");
        }
        return nested.has(key) ? nested : json;
    }

    private float ropeTheta() {
        return (float) rope("rope_theta").number("rope_theta", 10000, 1, 1e12);
    }

    private int rotaryWidth(int headWidth) {
        JsonObject rope = rope("partial_rotary_factor");
        double factor = rope.number("partial_rotary_factor", 0.5, 0, 1);
        int rotary = (int) (headWidth * factor);
        if (rotary % 2 != 0 || rotary == 0) {
            throw rope.fault("partial_rotary_factor",
                    "such that head width " + headWidth + " times it is even and positive (it is " + rotary + ")");
        }
        return rotary;
    }

    private GriffinConfig bounded(GriffinConfig config) {
        if (config.parameters() > MAX_PARAMETERS) {
            throw new ModelFormatException(json.file() + ": expected sizes of at most " + MAX_PARAMETERS + " parameters, found "
                    + config.parameters());
        }
        long stateBytes = config.stateBytes(DType.F32);
        if (stateBytes > MAX_STATE_BYTES) {
            throw new ModelFormatException(
                    json.file() + ": expected sizes of at most " + MAX_STATE_BYTES + " state bytes per sequence, found " + stateBytes);
        }
        for (OptionalInt id : List.of(config.bosId(), config.padId())) {
            checkId(id.orElse(0), config);
        }
        config.eosIds().forEach(id -> checkId(id, config));
        return config;
    }

    private void checkId(int id, GriffinConfig config) {
        if (id >= config.vocabulary()) {
            throw new ModelFormatException(
                    json.file() + ": bos, eos and pad ids must lie below vocab_size " + config.vocabulary() + ", found " + id);
        }
    }

    private void divides(int heads, String key, int value) {
        if (value % heads != 0) {
            throw new ModelFormatException(
                    json.file() + ": key '" + key + "' must be a multiple of num_attention_heads " + heads + ", found " + value);
        }
    }

    private int size(String key, int most) {
        return (int) json.integer(key, 1, most);
    }

    private int sizeOr(String key, int absent, int most) {
        return (int) json.integer(key, absent, 1, most);
    }

    private float positive(String key, double absent) {
        return (float) json.number(key, absent, 1e-30, 1e6);
    }
}
