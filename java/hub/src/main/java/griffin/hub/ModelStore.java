package griffin.hub;

import griffin.error.HubException;
import griffin.error.InvalidRequestException;
import griffin.io.FileErrors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * A folder of models that were fetched from a hub. A model is in it whole or not at all, whatever happens to a process that fetches one;
 * several processes may use one store.
 */
public final class ModelStore {

    /** The variable that names the folder. */
    public static final String VARIABLE = "GRIFFIN_MODELS";

    private final Path folder;

    private ModelStore(Path folder) {
        this.folder = folder;
    }

    /** The store of this process's user: {@code $GRIFFIN_MODELS}, or {@code ~/.cache/griffin/models}. */
    public static ModelStore ofDefault() {
        return ofDefault(System.getenv());
    }

    /** The same in another environment. */
    public static ModelStore ofDefault(Map<String, String> environment) {
        String named = environment.getOrDefault(VARIABLE, "");
        try {
            return of(named.isBlank() ? Path.of(System.getProperty("user.home"), ".cache", "griffin", "models") : Path.of(named));
        } catch (InvalidPathException e) {
            throw new InvalidRequestException(VARIABLE + " must name a folder, found '" + named + "'", e);
        }
    }

    /** The store in a folder, which need not be there yet. */
    public static ModelStore of(Path folder) {
        return new ModelStore(folder.toAbsolutePath().normalize());
    }

    /** The folder. */
    public Path folder() {
        return folder;
    }

    /** The folder of a model that is here, whole; {@code griffin.Griffin} opens it. */
    public Optional<Path> find(ModelName name) {
        return installed(name).map(Installed::path);
    }

    /** What is known of a model that is here, whole. */
    public Optional<Installed> installed(ModelName name) {
        return new ModelFolder(folder, name).installed();
    }

    /** The models that are here, whole, in the order of their names. */
    public List<Installed> list() {
        List<Installed> found = new ArrayList<>();
        for (Path owner : folders(folder)) {
            for (Path model : folders(owner)) {
                name(owner, model).flatMap(this::installed).ifPresent(found::add);
            }
        }
        return found;
    }

    private static Optional<ModelName> name(Path owner, Path model) {
        try {
            return Optional.of(new ModelName(owner.getFileName().toString(), model.getFileName().toString()));
        } catch (InvalidRequestException e) {
            return Optional.empty(); // somebody else's folder
        }
    }

    private static List<Path> folders(Path parent) {
        if (!Files.isDirectory(parent)) {
            return List.of();
        }
        try (Stream<Path> entries = Files.list(parent)) {
            return entries.filter(Files::isDirectory).sorted().toList();
        } catch (IOException e) {
            throw new HubException("the folder of models " + parent + " cannot be read: " + FileErrors.reason(e), e);
        }
    }

    /**
     * Deletes a model, and what an unfinished pull has left of it. A process that has it open goes on where the system allows that.
     *
     * @throws HubException when nothing of it is here, it is being pulled, or it cannot be deleted
     */
    public void remove(ModelName name) {
        ModelFolder model = new ModelFolder(folder, name);
        if (!model.exists()) {
            throw new HubException("the model " + name + " is not in " + folder + ": griffin-run list tells what is");
        }
        try (ModelLock _ = model.lock()) {
            model.delete();
        }
    }

    /**
     * Fetches a model, or what is missing of it; returns its folder. Does nothing but ask the hub when the revision asked for is here.
     *
     * @throws HubException                                    when the hub does not give it, the store cannot take it, or it is being
     *                                                         pulled already; says what to do
     * @throws griffin.error.ModelFormatException              when it is no model that this library runs
     * @throws java.util.concurrent.CancellationException      when the listener says so; what is here is kept for the next pull
     */
    public Path pull(ModelName name, HubSettings settings, PullListener listener) {
        return pull(name, settings, listener, PullLimits.USUAL);
    }

    Path pull(ModelName name, HubSettings settings, PullListener listener, PullLimits limits) {
        ModelFolder model = new ModelFolder(folder, name);
        try (ModelLock _ = model.lock()) {
            return new Pull(folder, model, settings, listener, limits).run();
        }
    }
}
