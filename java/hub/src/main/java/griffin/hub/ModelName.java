package griffin.hub;

import griffin.error.InvalidRequestException;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * What a model is called on a hub: {@code google/recurrentgemma-2b-it}. Both parts are names of folders on every operating system, so a
 * name can never lead out of the folder it is looked for in.
 *
 * @param owner who publishes it, such as {@code google}
 * @param name  the rest, such as {@code recurrentgemma-2b-it}
 */
public record ModelName(String owner, String name) {

    private static final int MAX_LENGTH = 96;
    private static final Pattern PART = Pattern.compile("[A-Za-z0-9_]([A-Za-z0-9_.-]{0," + (MAX_LENGTH - 2) + "}[A-Za-z0-9_-])?");
    /** Names that Windows keeps for devices, with any ending. */
    private static final Pattern DEVICE = Pattern.compile("(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\\..*)?");
    private static final String SHORT = "recurrentgemma";
    private static final Map<String, String> TAGS = tags();

    private static Map<String, String> tags() {
        Map<String, String> tags = new LinkedHashMap<>();
        for (String tag : new String[] {"2b", "2b-it", "9b", "9b-it"}) {
            tags.put(tag, SHORT + "-" + tag);
        }
        return tags;
    }

    /** Checks both parts as {@link #parse} does. */
    public ModelName {
        if (!isPart(owner) || !isPart(name)) {
            throw invalid(owner + "/" + name);
        }
    }

    /**
     * Reads a repository's id, {@code owner/name}, or one of the short names {@code recurrentgemma:2b}, {@code :2b-it}, {@code :9b} and
     * {@code :9b-it} in any case, which stand for Google's models.
     *
     * @throws InvalidRequestException when it is neither; for an unknown tag it lists those there are
     */
    public static ModelName parse(String text) {
        String lower = text.toLowerCase(Locale.ROOT);
        if (lower.equals(SHORT) || lower.startsWith(SHORT + ":")) {
            String name = TAGS.get(lower.substring(Math.min(lower.length(), SHORT.length() + 1)));
            if (name == null) {
                throw new InvalidRequestException("there is no model '" + shown(text) + "': the short names are " + shortNames());
            }
            return new ModelName("google", name);
        }
        int slash = text.indexOf('/');
        if (slash < 0) {
            throw invalid(text);
        }
        return new ModelName(text.substring(0, slash), text.substring(slash + 1));
    }

    /** The ids that short names stand for, for completion and messages. */
    public static Set<String> known() {
        Set<String> ids = new java.util.LinkedHashSet<>();
        TAGS.values().forEach(name -> ids.add("google/" + name));
        return ids;
    }

    /** The id: {@code owner/name}. */
    @Override
    public String toString() {
        return owner + "/" + name;
    }

    /** Whether Gemma's terms are for this model. */
    boolean isGemma() {
        return owner.equalsIgnoreCase("google") && name.toLowerCase(Locale.ROOT).contains("gemma");
    }

    private static boolean isPart(String part) {
        return PART.matcher(part).matches() && !part.contains("..") && !part.contains("--") && !DEVICE.matcher(part).matches();
    }

    private static InvalidRequestException invalid(String text) {
        return new InvalidRequestException("'" + shown(text) + "' is no name of a model: expected a repository's id such as "
                + "google/recurrentgemma-2b-it, or one of " + shortNames());
    }

    private static String shortNames() {
        return SHORT + ":" + String.join(", " + SHORT + ":", TAGS.keySet());
    }

    private static String shown(String text) {
        String printable = text.replaceAll("\\p{Cntrl}", "?");
        return printable.length() > 100 ? printable.substring(0, 100) + "..." : printable;
    }
}
