package griffin.hub;

import griffin.error.HubException;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.BooleanSupplier;

/** The questions a pull asks of a hub about one model. */
final class Hub implements AutoCloseable {

    /** Of a repository's description: some have thousands of files. */
    private static final int MOST_DESCRIPTION_BYTES = 32 << 20;
    private static final long MOST_FILE_BYTES = 1L << 40;

    private final HubSettings settings;
    private final ModelName name;
    private final Patience patience;
    private final BooleanSupplier stopped;
    private final HubHttp http;
    private final Refusals refusals;

    /** @param stopped asked all the time; true ends every call with a {@link java.util.concurrent.CancellationException} */
    Hub(HubSettings settings, ModelName name, Patience patience, BooleanSupplier stopped) {
        this.settings = settings;
        this.name = name;
        this.patience = patience;
        this.stopped = stopped;
        http = new HubHttp(settings, patience, stopped);
        refusals = new Refusals(settings, name, http.sendsToken());
    }

    /** Whether there is a token that is kept back, since the way to the hub is open for others to read. */
    boolean keepsTokenBack() {
        return settings.token().isPresent() && !http.sendsToken();
    }

    /** A file that the description lists, with as much as it tells. */
    record Listed(String name, Optional<Long> bytes, Optional<Checksum> checksum) {}

    /** A repository at one commit. */
    record Repository(String commit, Map<String, Listed> files) {}

    /** What the repository holds at the revision asked for. */
    Repository describe() {
        URI uri = URI.create(settings.hub() + "/api/models/" + name + "/revision/" + encoded(settings.revision()) + "?blobs=true");
        byte[] body = retries("asking " + settings.hub() + " for " + name).run(() -> {
            Answer answer = http.get(uri, Map.of("Accept", "application/json"));
            try {
                refusals.check(answer, null);
                return answer.bytes(MOST_DESCRIPTION_BYTES + 1);
            } finally {
                http.done(answer);
            }
        });
        if (body.length > MOST_DESCRIPTION_BYTES) {
            throw noHub(uri, "more than " + MOST_DESCRIPTION_BYTES + " bytes");
        }
        Map<String, Object> json = HubJson.object(body).orElseThrow(() -> noHub(uri, beginning(body)));
        String commit = HubJson.string(json, "sha").filter(sha -> sha.matches("[0-9a-f]{40,64}"))
                .orElseThrow(() -> noHub(uri, "no commit in the field 'sha'"));
        Map<String, Listed> files = new LinkedHashMap<>();
        for (Map<String, Object> file : HubJson.objects(json, "siblings")) {
            HubJson.string(file, "rfilename").filter(HubFile::isPlain).ifPresent(plain -> files.put(plain, listed(plain, file)));
        }
        return new Repository(commit, files);
    }

    private static Listed listed(String name, Map<String, Object> file) {
        Optional<Map<String, Object>> large = HubJson.object(file, "lfs");
        Optional<Checksum> hash = large.isPresent() ? large.flatMap(lfs -> HubJson.string(lfs, "sha256")).flatMap(Checksum::of)
                : HubJson.string(file, "blobId").flatMap(Checksum::of);
        return new Listed(name, large.flatMap(lfs -> HubJson.integer(lfs, "size")).or(() -> HubJson.integer(file, "size")), hash);
    }

    private HubException noHub(URI uri, String found) {
        return new HubException(Answer.where(uri) + " answered with what is no description of a model: found " + found + "; is "
                + settings.hub() + " the address of a hub?");
    }

    private static String beginning(byte[] body) {
        String text = new String(body, 0, Math.min(body.length, 60), StandardCharsets.UTF_8).replaceAll("[^\\x20-\\x7E]+", " ").strip();
        return text.isEmpty() ? "nothing" : (text.startsWith("<") ? "HTML" : "no JSON object") + ", '" + text + "'";
    }

    /**
     * A file's size and hash; asks for what the description did not tell.
     *
     * @param mostBytes a larger file is refused
     */
    HubFile file(Repository repository, Listed listed, long mostBytes) {
        HubFile file = listed.bytes().isPresent() && listed.checksum().isPresent()
                ? new HubFile(listed.name(), listed.bytes().get(), listed.checksum().get())
                : ask(repository, listed);
        if (file.bytes() < 0 || file.bytes() > Math.min(mostBytes, MOST_FILE_BYTES)) {
            throw new HubException(settings.hub() + " says that " + name + " has a file " + file.name() + " of " + file.bytes()
                    + " bytes: expected 0 to " + Math.min(mostBytes, MOST_FILE_BYTES));
        }
        return file;
    }

    private HubFile ask(Repository repository, Listed listed) {
        return retries("asking for " + listed.name()).run(() -> {
            Answer answer = http.head(address(repository, listed.name()));
            try {
                if (answer.status < 300 || answer.status >= 400) {
                    refusals.check(answer, listed.name());
                }
                Optional<Checksum> hash = listed.checksum().or(() -> answer.linked(Answer.LINKED_HASH).flatMap(Checksum::of))
                        .or(() -> answer.status < 300 ? answer.header("etag").flatMap(Checksum::of) : Optional.empty());
                Optional<Long> bytes = listed.bytes().or(() -> answer.linked(Answer.LINKED_SIZE).filter(size -> size.matches("\\d{1,18}"))
                        .map(Long::valueOf))
                        .or(() -> answer.status < 300 ? answer.length().stream().boxed().findFirst() : Optional.empty());
                if (hash.isEmpty() || bytes.isEmpty()) {
                    throw new HubException(settings.hub() + " does not tell " + (bytes.isEmpty() ? "the size" : "a checksum") + " of "
                            + listed.name() + ", without which a download cannot be trusted");
                }
                return new HubFile(listed.name(), bytes.get(), hash.get());
            } finally {
                http.done(answer);
            }
        });
    }

    /**
     * Opens a file from some byte on.
     *
     * @param from first byte
     * @param to   behind the last one
     * @param etag what the same file was called when it was last asked for, or empty
     * @return an answer of status 200, 206 or 416, to be given to {@link #done}
     */
    Answer open(Repository repository, HubFile file, long from, long to, String etag) throws IOException {
        Map<String, String> headers = new LinkedHashMap<>();
        if (from > 0 || to < file.bytes()) {
            headers.put("Range", "bytes=" + from + "-" + (to - 1));
            if (etag.startsWith("\"")) {
                headers.put("If-Range", etag);
            }
        }
        Answer answer = http.get(address(repository, file.name()), headers);
        try {
            if (answer.status != 416) {
                refusals.check(answer, file.name());
            }
            Optional<String> commit = answer.linked(Answer.COMMIT);
            if (commit.isPresent() && !commit.get().equals(repository.commit())) {
                throw new HubException(
                        settings.hub() + " was asked for commit " + repository.commit() + " of " + name + " and answered with "
                                + "another one: pull again");
            }
            return answer;
        } catch (IOException | RuntimeException e) {
            http.done(answer);
            throw e;
        }
    }

    void done(Answer answer) {
        http.done(answer);
    }

    Retries retries(String what) {
        return new Retries(what, patience, stopped);
    }

    private URI address(Repository repository, String file) {
        return URI.create(settings.hub() + "/" + name + "/resolve/" + repository.commit() + "/" + encoded(file));
    }

    private static String encoded(String part) {
        return URLEncoder.encode(part, StandardCharsets.UTF_8).replace("+", "%20");
    }

    @Override
    public void close() {
        http.close();
    }
}
