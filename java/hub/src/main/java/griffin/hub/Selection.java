package griffin.hub;

import griffin.error.HubException;
import griffin.error.ModelFormatException;
import griffin.io.FileErrors;
import griffin.model.GriffinConfig;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Which files of a repository a model needs: what this library reads, and its licence. */
final class Selection {

    private static final String CONFIG = "config.json";
    private static final String SINGLE = "model.safetensors";
    private static final String INDEX = "model.safetensors.index.json";
    private static final List<String> OPTIONAL = List.of("generation_config.json", "tokenizer.json");
    private static final Set<String> TO_READ = Set.of("LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "NOTICE.txt", "README.md");
    private static final long MOST_JSON_BYTES = 100_000_000;
    private static final long MOST_TEXT_BYTES = 1 << 20;

    private final Hub hub;
    private final Hub.Repository repository;
    private final ModelName name;

    Selection(Hub hub, Hub.Repository repository, ModelName name) {
        this.hub = hub;
        this.repository = repository;
        this.name = name;
    }

    /** What has to be read before it is known which others there must be: the configuration, and the list of weight files. */
    List<HubFile> first() {
        Map<String, Hub.Listed> files = repository.files();
        if (!files.containsKey(CONFIG) || !files.containsKey(SINGLE) && !files.containsKey(INDEX)) {
            throw new HubException(name + " has no " + (files.containsKey(CONFIG) ? SINGLE + " and no " + INDEX : CONFIG)
                    + ": expected a model in Hugging Face form, found " + (files.isEmpty() ? "no files" : some(files.keySet())));
        }
        List<HubFile> first = new ArrayList<>();
        first.add(json(CONFIG));
        if (!files.containsKey(SINGLE)) {
            first.add(json(INDEX));
        }
        return first;
    }

    private static String some(Set<String> names) {
        List<String> few = names.stream().limit(8).toList();
        return String.join(", ", few) + (names.size() > few.size() ? " and " + (names.size() - few.size()) + " more" : "");
    }

    private HubFile json(String file) {
        return hub.file(repository, repository.files().get(file), MOST_JSON_BYTES);
    }

    /**
     * All others, weights last.
     *
     * @param folder where the first ones are
     * @throws ModelFormatException when the configuration is not that of a model that can be run
     */
    List<HubFile> rest(Path folder) {
        GriffinConfig.parse(text(folder.resolve(CONFIG)), CONFIG + " of " + name);
        List<HubFile> rest = new ArrayList<>();
        for (Hub.Listed listed : repository.files().values()) {
            if (OPTIONAL.contains(listed.name())) {
                rest.add(json(listed.name()));
            } else if (TO_READ.contains(listed.name()) && listed.checksum().isPresent()
                    && listed.bytes().filter(bytes -> bytes >= 0 && bytes <= MOST_TEXT_BYTES).isPresent()) {
                rest.add(hub.file(repository, listed, MOST_TEXT_BYTES));
            }
        }
        for (String weights : weights(folder)) {
            rest.add(hub.file(repository, repository.files().get(weights), Long.MAX_VALUE));
        }
        return rest;
    }

    private Set<String> weights(Path folder) {
        if (repository.files().containsKey(SINGLE)) {
            return Set.of(SINGLE);
        }
        Map<String, Object> map = HubJson.object(text(folder.resolve(INDEX)).getBytes(StandardCharsets.UTF_8))
                .flatMap(index -> HubJson.object(index, "weight_map"))
                .orElseThrow(() -> new ModelFormatException(INDEX + " of " + name + ": expected an object with the key 'weight_map'"));
        Set<String> shards = new LinkedHashSet<>();
        for (Object shard : map.values()) {
            if (!(shard instanceof String file) || !HubFile.isPlain(file) || !repository.files().containsKey(file)) {
                String shown = String.valueOf(shard).replaceAll("[^\\x20-\\x7E]", "?");
                throw new ModelFormatException(INDEX + " of " + name + " names the weight file '"
                        + (shown.length() > 100 ? shown.substring(0, 100) + "..." : shown) + "', which the repository does not have");
            }
            shards.add(file);
        }
        if (shards.isEmpty()) {
            throw new ModelFormatException(INDEX + " of " + name + " names no weight file");
        }
        return shards;
    }

    private static String text(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new HubException(file + " cannot be read: " + FileErrors.reason(e), e);
        }
    }
}
