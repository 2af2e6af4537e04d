package griffin.hub;

import griffin.error.HubException;
import java.io.IOException;
import java.time.Instant;
import java.util.Optional;

/** What an answer that is no success means, in words that say what to do. */
final class Refusals {

    private static final String GIVE = "give it as GRIFFIN_HUB_TOKEN, or with --token-file FILE";

    private final HubSettings settings;
    private final ModelName name;
    private final boolean tokenSent;

    Refusals(HubSettings settings, ModelName name, boolean tokenSent) {
        this.settings = settings;
        this.name = name;
        this.tokenSent = tokenSent;
    }

    /**
     * Returns if the answer is a success.
     *
     * @param file the file that was asked for, or null for the repository itself
     * @throws IOException  where the same request may succeed later
     * @throws HubException where it will not
     */
    void check(Answer answer, String file) throws IOException {
        int status = answer.status;
        if (status >= 200 && status < 300) {
            return;
        }
        if (status == 408 || status == 425 || status == 429 || status >= 500 && status != 501 && status != 505) {
            throw new Retries.Later(answer.uri.getHost() + " answered " + status + (status == 429 ? " (too many requests)" : ""),
                    answer.header("retry-after").flatMap(after -> Retries.retryAfter(after, Instant.now())));
        }
        if (!answer.fromHub) {
            // Links to a storage host expire; the next attempt asks the hub for a new one.
            throw new IOException("the storage host " + answer.uri.getHost() + " answered " + status);
        }
        throw new HubException(sentence(answer, file));
    }

    private String sentence(Answer answer, String file) {
        String code = answer.header("x-error-code").orElse("");
        return switch (answer.status) {
            case 401 -> tokenSent ? "the hub " + settings.hub() + " does not accept the " + settings.token().orElseThrow() + " (401"
                    + said(answer) + "): it may have been revoked or be for another hub; make a new one at " + tokenPage() + " and " + GIVE
                    : code.equals("RepoNotFound") || !gated(code, answer) && file == null ? missing(401) : gatedWithoutToken(answer);
            case 403 -> tokenSent ? gatedWithToken(answer) : gatedWithoutToken(answer);
            case 404 -> code.equals("RevisionNotFound")
                    ? name + " has no revision '" + settings.revision() + "' at " + settings.hub()
                            + ": see its list of branches and tags at "
                            + page()
                    : file == null ? missing(404) : name + " has no file " + file + " at " + settings.hub() + " any more (404): pull again";
            default -> Answer.where(answer.uri) + " answered " + answer.status + said(answer) + ": expected "
                    + (file == null ? "a description of " + name : file);
        };
    }

    private static boolean gated(String code, Answer answer) {
        return code.equals("GatedRepo") || answer.header("x-error-message").orElse("").toLowerCase(java.util.Locale.ROOT).contains("gated")
                || answer.header("x-error-message").orElse("").contains("restricted");
    }

    private String missing(int status) {
        return "there is no model " + name + " at " + settings.hub() + " (" + status + "), or it is private: check its name"
                + (tokenSent ? ", and that the " + settings.token().orElseThrow() + " belongs to somebody who may read it"
                        : "; for a private one make a token at " + tokenPage() + " and " + GIVE);
    }

    private String gatedWithoutToken(Answer answer) {
        return name + " is gated: " + settings.hub() + " gives it only to those who accepted its terms (" + answer.status + said(answer)
                + "). 1. Sign in and accept them at " + page() + ". 2. Make a token that may read at " + tokenPage() + ". 3. "
                + capital(GIVE)
                + ".";
    }

    private String gatedWithToken(Answer answer) {
        return settings.hub() + " knows the " + settings.token().orElseThrow() + ", but does not give it " + name + " (403" + said(answer)
                + "): accept its terms at " + page()
                + " with the same account (where access is granted by hand, wait for that), and see at "
                + tokenPage() + " that the token may read gated repositories";
    }

    private String page() {
        return settings.hub() + "/" + name;
    }

    private String tokenPage() {
        return settings.hub() + "/settings/tokens";
    }

    /** The hub's own words, where it has some. */
    private static String said(Answer answer) {
        Optional<String> words = answer.header("x-error-message").map(text -> text.replaceAll("[^\\x20-\\x7E]", " ").strip())
                .filter(text -> !text.isEmpty());
        return words.map(text -> ": " + (text.length() > 200 ? text.substring(0, 200) + "..." : text)).orElse("");
    }

    private static String capital(String text) {
        return Character.toUpperCase(text.charAt(0)) + text.substring(1);
    }
}
