package griffin.weights;

import griffin.backend.DType;
import griffin.error.ModelFormatException;
import griffin.json.Excerpt;
import griffin.json.Json;
import griffin.json.JsonObject;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/** All tensors of a model, from {@code model.safetensors} or from the shards that {@code model.safetensors.index.json} lists. */
public final class WeightFiles {

    private static final String SINGLE = "model.safetensors";
    private static final String INDEX = "model.safetensors.index.json";
    private static final String CONFIG = "config.json";

    private final ModelFiles files;
    private final Map<String, Safetensors> shards = new LinkedHashMap<>();
    private final Map<String, Safetensors> home = new LinkedHashMap<>();
    private Thread advising;

    private WeightFiles(ModelFiles files) {
        this.files = files;
    }

    /**
     * Maps the weights of a model. Reads headers only.
     *
     * @param arena owns the mappings; the tensors live as long as it does
     * @throws ModelFormatException if files are missing, damaged or contradict each other
     */
    public static WeightFiles open(ModelFiles files, Arena arena) {
        WeightFiles weights = new WeightFiles(files);
        if (files.exists(SINGLE)) {
            weights.add(SINGLE, arena);
        } else if (files.exists(INDEX)) {
            weights.addShards(arena);
        } else {
            throw new ModelFormatException(NoWeights.message(files));
        }
        return weights;
    }

    private void addShards(Arena arena) {
        JsonObject map = Json.object(files.open(INDEX), files.describe(INDEX)).object("weight_map");
        String index = files.describe(INDEX);
        for (String tensor : map.keys()) {
            String shard = map.string(tensor);
            if (shards.containsKey(shard)) {
                continue;
            }
            if (!files.exists(shard)) {
                throw new ModelFormatException(index + " puts tensor '" + Excerpt.of(tensor) + "' in " + files.describe(shard)
                        + ", which does not exist: the download is not complete");
            }
            add(shard, arena);
        }
        for (String tensor : map.keys()) {
            Safetensors expected = shards.get(map.string(tensor));
            Safetensors found = home.get(tensor);
            if (found != expected) {
                throw new ModelFormatException(
                        index + " puts tensor '" + Excerpt.of(tensor) + "' in " + expected.file() + ", found "
                                + (found == null ? "in no shard" : "in " + found.file()) + ": the files do not belong together");
            }
        }
    }

    private void add(String name, Arena arena) {
        Safetensors shard = Safetensors.open(files, name, arena);
        shards.put(name, shard);
        for (String tensor : shard.names()) {
            Safetensors other = home.put(tensor, shard);
            if (other != null) {
                throw new ModelFormatException("tensor '" + Excerpt.of(tensor) + "' is in two shards, " + other.file() + " and "
                        + shard.file() + ": expected in one");
            }
        }
    }

    /**
     * A tensor the model cannot do without.
     *
     * @param shape the lengths its axes must have, as config.json implies them
     * @throws ModelFormatException if it is missing, not F32, BF16 or F16, or of another shape; names config.json and the weight file
     */
    public Tensor require(String name, long... shape) {
        String config = files.describe(CONFIG);
        Tensor tensor = find(name).orElseThrow(() -> new ModelFormatException(
                "tensor '" + name + "' " + Shapes.show(shape) + ", expected by " + config + ", is missing in " + where() + " ("
                        + home.size() + " tensors)"));
        if (tensor.dtype() == DType.I32) {
            throw new ModelFormatException(
                    tensor.file() + ": tensor '" + name + "': expected dtype F32, BF16 or F16, found " + tensor.dtype());
        }
        if (!Arrays.equals(tensor.shape(), shape)) {
            throw new ModelFormatException("tensor '" + name + "': expected shape " + Shapes.show(shape) + " by " + config + ", found "
                    + Shapes.show(tensor.shape()) + " in " + tensor.file() + ": the two files do not belong together");
        }
        return tensor;
    }

    /**
     * A tensor of any shape, or empty if there is none of this name.
     *
     * @throws ModelFormatException if its dtype is one this library does not read
     */
    public Optional<Tensor> find(String name) {
        Safetensors shard = home.get(name);
        return shard == null ? Optional.empty() : shard.find(name);
    }

    /** The names of all tensors. */
    public Collection<String> names() {
        return Collections.unmodifiableSet(home.keySet());
    }

    /** Bytes of all tensors together. */
    public long bytes() {
        return shards.values().stream().mapToLong(Safetensors::dataBytes).sum();
    }

    /**
     * Wishes for large pages for what is yet to be read, in the background; for weights that are read where they are mapped. What is
     * read before {@link #settle} may come in small ones.
     */
    public void wishForLargePages() {
        settle();
        advising = LargePages.advise(shards.values().stream().map(Safetensors::data).toList());
    }

    /** Waits for what goes on in the background: a fraction of a second at most. */
    public void settle() {
        boolean interrupted = false;
        while (advising != null) {
            try {
                advising.join();
                advising = null;
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** Bytes of the weights that this process has mapped in pages of 2 MiB or more so far, where the system tells (Linux). */
    public OptionalLong bytesInLargePages() {
        return LargePages.inLargePages(shards.values().stream().map(Safetensors::data).toList());
    }

    /**
     * Reads every weight and looks for NaN and infinities.
     *
     * @throws ModelFormatException naming the first such value of each bad tensor, up to eight tensors
     */
    public void check() {
        wishForLargePages();
        settle();
        List<String> bad = home.keySet().stream().map(name -> find(name).orElseThrow()).map(FiniteScan::firstFault)
                .flatMap(Optional::stream).limit(8).toList();
        if (!bad.isEmpty()) {
            throw new ModelFormatException("weights must be finite, found " + String.join("; ", bad) + ": the files are damaged");
        }
    }

    private String where() {
        return shards.size() == 1 ? shards.values().iterator().next().file()
                : files.describe(INDEX) + " and its " + shards.size() + " shards";
    }
}
