package griffin;

import griffin.backend.Backend;
import griffin.backend.DeviceInfo;
import griffin.error.ModelFormatException;
import griffin.io.FileErrors;
import griffin.model.GenerationConfig;
import griffin.model.GriffinConfig;
import griffin.model.GriffinModel;
import griffin.tokenizer.Tokenizer;
import griffin.weights.ModelFiles;
import griffin.weights.WeightFiles;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeSet;

/**
 * What a model is and what it costs, from its configuration and the headers of its files: nothing is loaded and no buffer is made, so a
 * model that does not fit in memory can be looked at, too. {@link GriffinBuilder#info} makes it.
 *
 * @param config         the architecture
 * @param device         what the model would run on
 * @param deviceReason   why that device: one sentence
 * @param weightBytes    bytes of the weights in the model's files
 * @param weightPlace    where they are when a token reads them
 * @param stateBytes     bytes of one session's state on that device, at any length of text
 * @param workspaceBytes bytes of the buffers that all sessions share
 * @param hasTokenizer   whether there is a {@code tokenizer.json}; without one, the model works on ids alone
 * @param bosId          the id that begins every text, if the model names one
 * @param endIds         the ids that end a text, rising
 */
public record ModelInfo(GriffinConfig config, DeviceInfo device, String deviceReason, long weightBytes, WeightPlace weightPlace,
        long stateBytes, long workspaceBytes, boolean hasTokenizer, Optional<Integer> bosId, List<Integer> endIds) {

    static final String TOKENIZER = "tokenizer.json";
    private static final String END_OF_TURN = "<end_of_turn>";

    public ModelInfo {
        endIds = List.copyOf(endIds);
    }

    /**
     * Reads headers, and all weights if the builder is to check them.
     *
     * @throws ModelFormatException when it is not a complete Griffin model
     */
    static ModelInfo read(GriffinBuilder b) {
        ModelFiles files = b.files;
        GriffinConfig config = b.config();
        GenerationConfig generation = GenerationConfig.read(files);
        Devices.Choice choice = b.choose();
        try (Backend backend = choice.backend(); Arena arena = Arena.ofShared()) {
            WeightFiles weights = WeightFiles.open(files, arena);
            GriffinModel.requireWeights(config, weights);
            if (b.check) {
                weights.check();
            }
            WeightPlace place = b.weights.with(backend);
            place.warn(weights.bytes(), b.freeMemory.get()).ifPresent(b.notices);
            return new ModelInfo(config, backend.device(), choice.reason(), weights.bytes(), place,
                    config.stateBytes(backend.operandType()),
                    GriffinModel
                            .memoryNeed(config, 1, MemoryCheck.rows(b.chunk == 0 ? backend.defaultChunk() : b.chunk, b.parallel),
                                    b.parallel)
                            .workspaceBytes(backend.operandType()),
                    files.exists(TOKENIZER),
                    bosId(config, generation), List.copyOf(endIds(config, generation, endOfTurn(files))));
        }
    }

    static Optional<Integer> bosId(GriffinConfig config, GenerationConfig generation) {
        OptionalInt id = generation.bosId().isPresent() ? generation.bosId() : config.bosId();
        return id.isPresent() ? Optional.of(id.getAsInt()) : Optional.empty();
    }

    /** The ids of generation_config.json, else of config.json, and the tokenizer's end of a turn. */
    static TreeSet<Integer> endIds(GriffinConfig config, GenerationConfig generation, OptionalInt endOfTurn) {
        TreeSet<Integer> ids = new TreeSet<>(generation.eosIds().isEmpty() ? config.eosIds() : generation.eosIds());
        endOfTurn.ifPresent(ids::add);
        return ids;
    }

    static OptionalInt endOfTurn(Tokenizer tokenizer) {
        return tokenizer.id(END_OF_TURN);
    }

    /** @throws ModelFormatException when there is no tokenizer.json, or it belongs to another model */
    static Tokenizer readTokenizer(ModelFiles files, GriffinConfig config) {
        if (!files.exists(TOKENIZER)) {
            String found = files.exists("tokenizer.model") ? "found tokenizer.model alone" : "found none";
            throw new ModelFormatException("text needs " + files.describe(TOKENIZER) + ", " + found
                    + ": get tokenizer.json from the same model repository, or give token ids instead of text");
        }
        try (InputStream in = files.open(TOKENIZER)) {
            Tokenizer read = Tokenizer.read(in, files.describe(TOKENIZER));
            if (read.vocabularySize() > config.vocabulary()) {
                throw new ModelFormatException(files.describe(TOKENIZER) + " has " + read.vocabularySize() + " tokens, and "
                        + files.describe("config.json") + " a vocabulary of " + config.vocabulary() + ": they belong to different models");
            }
            return read;
        } catch (IOException e) {
            throw new UncheckedIOException(files.describe(TOKENIZER) + " cannot be read: " + FileErrors.reason(e), e);
        }
    }

    private static OptionalInt endOfTurn(ModelFiles files) {
        if (!files.exists(TOKENIZER)) {
            return OptionalInt.empty();
        }
        try (InputStream in = files.open(TOKENIZER)) {
            return Tokenizer.findId(in, files.describe(TOKENIZER), END_OF_TURN);
        } catch (IOException e) {
            throw new UncheckedIOException(files.describe(TOKENIZER) + " cannot be read: " + FileErrors.reason(e), e);
        }
    }
}
