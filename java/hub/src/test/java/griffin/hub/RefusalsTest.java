package griffin.hub;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.hub.StandInHub.Fault;
import java.io.IOException;
import java.nio.file.Files;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Hubs that do not give a model, and what is said then. */
class RefusalsTest extends HubTestCase {

    /** Answers what is asked of a file, or of the description, with a status and headers in pairs. */
    private static Fault refusing(boolean description, int status, String... headers) {
        return exchange -> {
            if (exchange.getRequestURI().getPath().startsWith("/api/") != description) {
                return false;
            }
            for (int i = 0; i < headers.length; i += 2) {
                exchange.getResponseHeaders().set(headers[i], headers[i + 1]);
            }
            StandInHub.answer(exchange, status, "application/json", "{\"error\":\"no\"}");
            return true;
        };
    }

    private static Fault describing(String json) {
        return exchange -> {
            if (!exchange.getRequestURI().getPath().startsWith("/api/")) {
                return false;
            }
            StandInHub.answer(exchange, 200, "application/json", json);
            return true;
        };
    }

    @Test
    void gatedWithoutTokenTellsTheWay() {
        hub.hubFault = refusing(false, 401, "X-Error-Code", "GatedRepo", "X-Error-Message", "Access to model tiny/random is restricted.");
        assertContains(failure(), "tiny/random is gated", "401", "is restricted", "accept them at " + hub.address() + "/tiny/random",
                "token that may read at " + hub.address() + "/settings/tokens", "GRIFFIN_HUB_TOKEN", "--token-file");
        hub.hubFault = refusing(false, 403);
        assertContains(failure(), "tiny/random is gated", "403");
        hub.hubFault = refusing(true, 401, "X-Error-Code", "GatedRepo");
        assertContains(failure(), "tiny/random is gated");
    }

    @Test
    void gatedWithTokenTellsWhatIsLeft() {
        hub.hubFault = refusing(false, 403, "X-Error-Code", "GatedRepo");
        String message = failure(settings("hf_secret"));
        assertContains(message, "knows the token from a test", "accept its terms at " + hub.address() + "/tiny/random", "same account");
        hub.hubFault = refusing(true, 401, "X-Error-Message", "Invalid username or password.");
        message += failure(settings("hf_secret"));
        assertContains(message, "does not accept the token from a test", "Invalid username or password.", "make a new one");
        assertFalse(message.contains("secret"), message);
    }

    @Test
    void noModelOrPrivate() {
        for (int status : new int[] {401, 404}) {
            hub.hubFault = refusing(true, status, "X-Error-Code", "RepoNotFound");
            assertContains(failure(), "there is no model tiny/random at " + hub.address() + " (" + status + "), or it is private",
                    "check its name");
        }
        hub.hubFault = exchange -> false;
        assertContains(failure(settings().withRevision("v7")), "tiny/random has no revision 'v7'");
        hub.hubFault = refusing(false, 404, "X-Error-Code", "EntryNotFound");
        assertContains(failure(), "has no file config.json", "pull again");
        assertContains(assertFails("tiny/other"), "there is no model tiny/other");
    }

    private String assertFails(String name) {
        return org.junit.jupiter.api.Assertions.assertThrows(griffin.error.HubException.class,
                () -> store.pull(ModelName.parse(name), settings(), heard, LIMITS)).getMessage();
    }

    @Test
    void wordsOfTheHubAreCutAndCleaned() {
        hub.hubFault = refusing(false, 400, "X-Error-Message", "no " + "y".repeat(500));
        String message = failure();
        assertContains(message, "answered 400: no yyy", "yyy...: expected config.json");
        assertTrue(message.length() < 500, message);
        hub.hubFault = refusing(false, 400, "X-Error-Message", "x\u001b[31m" + "y".repeat(500));
        message = failure();
        assertTrue(message.length() < 500 && message.chars().noneMatch(Character::isISOControl), message);
    }

    @ParameterizedTest
    @ValueSource(ints = {408, 429, 500, 502, 503, 504})
    void whatMayPassIsAskedAgain(int status) throws IOException {
        AtomicInteger times = new AtomicInteger();
        hub.hubFault =
                exchange -> times.getAndIncrement() % 3 < 2 && refusing(exchange.getRequestURI().getPath().startsWith("/api/"), status)
                        .answers(exchange);
        assertWhole(store.pull(NAME, settings().withConnections(1), heard, LIMITS));
        hub.hubFault = refusing(true, status);
        hub.forgetRequests();
        assertContains(failureOfAnother(), "failed 5 times", "answered " + status, "try again later");
        assertEquals(5, hub.requests().size(), "bounded");
    }

    private String failureOfAnother() {
        store.remove(NAME);
        return failure();
    }

    @Test
    void retryAfterIsObeyed() throws IOException {
        AtomicInteger times = new AtomicInteger();
        hub.hubFault = exchange -> times.getAndIncrement() == 0 && refusing(true, 429, "Retry-After", "1").answers(exchange);
        long start = System.nanoTime();
        assertWhole(pull());
        assertTrue(System.nanoTime() - start >= 1_000_000_000L, "it waits as long as it is told");
        store.remove(NAME);
        hub.hubFault = refusing(true, 429, "Retry-After", "3600");
        hub.forgetRequests();
        assertContains(failure(), "429 (too many requests)", "asks to wait 3600 s");
        assertEquals(1, hub.requests().size());
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|',
            value = {"0|0", "120|120", " 7 |7", "Mon, 30 Nov 2026 12:00:30 GMT|30", "Mon, 30 Nov 2026 11:00:00 GMT|0", "soon|",
                "-1|", "99999999999|", "|"})
    void retryAfterIsSecondsOrADate(String header, Long seconds) {
        assertEquals(Optional.ofNullable(seconds).map(Duration::ofSeconds),
                Retries.retryAfter(header == null ? "" : header, Instant.parse("2026-11-30T12:00:00Z")));
    }

    @Test
    void circlesAndLongWaysEnd() {
        hub.hubFault = exchange -> {
            StandInHub.redirect(exchange, exchange.getRequestURI().getPath() + "?again");
            return true;
        };
        assertContains(failure(), "was redirected in a circle");
        AtomicInteger times = new AtomicInteger();
        hub.hubFault = exchange -> {
            StandInHub.redirect(exchange, "/next/" + times.getAndIncrement());
            return true;
        };
        assertContains(failure(), "was redirected more than 10 times");
        assertEquals(11, times.get());
    }

    @ParameterizedTest
    @CsvSource({"file:///etc/passwd,expected an address of http or https", "ftp://127.0.0.1/x,expected an address",
        "http:///x,expected an address",
        "':: ::',what is no address", "javascript:alert(1),expected an address"})
    void strangeTargetsAreRefused(String target, String message) {
        hub.hubFault = exchange -> {
            StandInHub.redirect(exchange, target);
            return true;
        };
        assertContains(failure(), message);
        hub.hubFault = refusing(true, 302);
        assertContains(failure(), "did not say where to");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {"<!DOCTYPE html><html>Sign in</html> | found HTML, '<!DOCTYPE html>", "[] | no JSON object",
        "{\"sha\": 1} | no commit", "{\"sha\": \"../../x\"} | no commit", "'' | found nothing", "{\"sha\": \"a\" | no JSON object, '{",
        "{\"sha\": \"0123456789012345678901234567890123456789\"} | has no config.json: expected a model in Hugging Face form, found no files"})
    void whatIsNoHubIsSaid(String body, String message) {
        hub.hubFault = describing(body == null ? "" : body);
        assertContains(failure(), message);
    }

    private static String repository(String... files) {
        return "{\"sha\":\"" + "0".repeat(40) + "\",\"siblings\":[" + String.join(",", files) + "]}";
    }

    private static String file(String name, String size) {
        return "{\"rfilename\":\"" + name + "\",\"size\":" + size + ",\"blobId\":\"" + "0".repeat(40) + "\"}";
    }

    @Test
    void absurdSizesAreRefused() {
        for (String size : new String[] {"-1", "100000001", "9223372036854775807"}) {
            hub.hubFault = describing(repository(file("config.json", size), file(WEIGHTS, "5")));
            assertContains(failure(), "a file config.json of " + size + " bytes: expected 0 to 100000000");
        }
        hub.hubFault = describing("{\"sha\":\"" + "0".repeat(40) + "\",\"x\":\"" + "y".repeat(33 << 20) + "\"}");
        assertContains(failure(), "more than");
    }

    @Test
    void repositoriesOfOtherModelsAreRefused() throws IOException {
        hub.hubFault = describing(repository(file("config.json", "5"), file("a.gguf", "5"), file("../../evil.json", "5"), file("/x", "5")));
        assertContains(failure(), "has no model.safetensors and no model.safetensors.index.json", "found config.json, a.gguf");
        hub.hubFault = exchange -> false;
        Files.writeString(repository.resolve("config.json"), "{\"model_type\": \"llama\"}");
        assertContains(failure(), "config.json of tiny/random", "llama");
        assertTrue(hub.requests().stream().noneMatch(StandInHub.Request::toStorage), "found before the weights are fetched");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"../../../evil.safetensors", "/etc/passwd", "sub/model.safetensors", "..", ".griffin.json", "none.safetensors", ""})
    void indexesNameFilesOfTheRepository(String shard) throws IOException {
        Files.delete(repository.resolve(WEIGHTS));
        Files.writeString(repository.resolve("model.safetensors.index.json"), "{\"weight_map\": {\"a\": \"" + shard + "\"}}");
        assertContains(failure(), "names the weight file '" + shard + "', which the repository does not have");
        Files.writeString(repository.resolve("model.safetensors.index.json"), "{\"weight_map\": {}}");
        assertContains(failure(), "names no weight file");
        Files.writeString(repository.resolve("model.safetensors.index.json"), "<html>");
        assertContains(failure(), "expected an object with the key 'weight_map'");
    }

    @Test
    void withoutChecksumNothingIsTrusted() {
        Fault description = describing(repository("{\"rfilename\":\"config.json\"}", "{\"rfilename\":\"model.safetensors\"}"));
        hub.hubFault = exchange -> {
            if (description.answers(exchange)) {
                return true;
            }
            exchange.getResponseHeaders().set("ETag", "\"abc\"");
            StandInHub.answer(exchange, 200, "text/plain", "hello");
            return true;
        };
        assertContains(failure(), "does not tell", "of config.json", "cannot be trusted");
    }

    @Test
    void aFullDiskIsSeenBeforeTheFetching() {
        hub.hubFault = exchange -> {
            if (!exchange.getRequestURI().getPath().startsWith("/api/")) {
                return false;
            }
            try (StandInHub other = new StandInHub(folder.resolve("served"));
                    Hub asking = new Hub(HubSettings.of(other.address().toString(), null, Map.of(), folder), NAME, PATIENCE, () -> false)) {
                Hub.Repository real = asking.describe();
                HubFile config = asking.file(real, real.files().get("config.json"), 10_000);
                StandInHub.answer(exchange, 200, "application/json", "{\"sha\":\"" + real.commit() + "\",\"siblings\":[{\"rfilename\":"
                        + "\"config.json\",\"size\":" + config.bytes() + ",\"blobId\":\"" + config.checksum().hex() + "\"},"
                        + "{\"rfilename\":\"model.safetensors\",\"lfs\":{\"size\":1000000000000,\"sha256\":\"" + "0".repeat(64) + "\"}}]}");
                return true;
            }
        };
        assertContains(failure(), "needs 1000000000000 more bytes", "free: make room", "GRIFFIN_MODELS");
        assertEquals(List.of(), hub.requests().stream().filter(StandInHub.Request::toStorage).toList());
    }

    @Test
    void nobodyAnswers() {
        HubSettings settings = settings();
        hub.close();
        assertContains(failure(settings), "asking " + settings.hub() + " for tiny/random failed 5 times", "there is no connection");
        assertContains(failure(HubSettings.of("http://no-such-host.invalid", null, Map.of(), folder)), "the host is unknown");
    }
}
