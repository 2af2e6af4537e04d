package griffin.cli;

import griffin.error.InvalidRequestException;
import griffin.error.ModelFormatException;
import griffin.hub.ModelName;
import griffin.hub.ModelStore;
import java.io.File;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;

/** Models that are named, not pointed at. A class of its own, so that a run without a name loads nothing of it. */
final class PulledModels {

    private PulledModels() {}

    /** The id that a name stands for. */
    static String id(String name) {
        return ModelName.parse(name).toString();
    }

    /**
     * The folder of a model that was pulled.
     *
     * @param given what was given for a folder, and is none; returned as it is where it cannot be a name
     * @throws ModelFormatException    when there is no such model here; says how to fetch it
     * @throws InvalidRequestException when it is a short name that stands for nothing
     */
    static Path find(Path given, Map<String, String> environment) {
        String text = given.toString().replace(File.separatorChar, '/');
        ModelName name;
        try {
            name = ModelName.parse(text);
        } catch (InvalidRequestException e) {
            if (text.toLowerCase(Locale.ROOT).startsWith("recurrentgemma:")) {
                throw e;
            }
            return given;
        }
        ModelStore store = ModelStore.ofDefault(environment);
        return store.find(name).orElseThrow(() -> new ModelFormatException("there is no folder " + text + ", and the model " + name
                + " is not in " + store.folder() + ": fetch it with griffin-run pull " + name));
    }
}
