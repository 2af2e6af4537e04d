package griffin.hub;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.error.HubException;
import griffin.error.InvalidRequestException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class HubSettingsTest {

    @TempDir
    Path home;

    private HubSettings of(String hub, Path tokenFile, String... environment) {
        Map<String, String> variables = new HashMap<>();
        for (int i = 0; i < environment.length; i += 2) {
            variables.put(environment[i], environment[i + 1]);
        }
        return HubSettings.of(hub, tokenFile, variables, home);
    }

    private static String value(HubSettings settings) {
        return settings.token().map(AccessToken::value).orElse("none");
    }

    @Test
    void theHubIsTheFirstThatIsNamed() {
        assertEquals(HubSettings.DEFAULT_HUB, of(null, null, "GRIFFIN_HUB", " ").hub());
        assertEquals("http://c:1", of(null, null, "HF_ENDPOINT", "http://c:1/").hub().toString());
        assertEquals("https://b/hub", of(null, null, "HF_ENDPOINT", "http://c:1", "GRIFFIN_HUB", "https://b/hub//").hub().toString());
        assertEquals("http://[::1]:8", of("http://[::1]:8", null, "GRIFFIN_HUB", "https://b").hub().toString());
    }

    /** A token that was made for one hub goes to no other. */
    @Test
    void theTokenIsTheFirstThatIsForThatHub() throws IOException {
        Path written = home.resolve(".cache/huggingface/token");
        Files.createDirectories(written.getParent());
        Files.writeString(written, "hf_written\n");
        Path file = Files.writeString(home.resolve("mine"), " hf_mine\n");
        assertEquals("hf_written", value(of(null, null)));
        assertEquals("hf_written", value(of(null, null, "HF_ENDPOINT", "https://other")));
        assertEquals("hf_theirs", value(of(null, null, "HF_TOKEN", "hf_theirs")));
        assertEquals("hf_theirs", value(of(HubSettings.DEFAULT_HUB.toString(), null, "HF_TOKEN", "hf_theirs")));
        assertEquals("ours", value(of(null, null, "HF_TOKEN", "hf_theirs", "GRIFFIN_HUB_TOKEN", "ours")));
        assertEquals("hf_mine", value(of(null, file, "GRIFFIN_HUB_TOKEN", "ours")));
        assertEquals("none", value(of("https://other", null, "HF_TOKEN", "hf_theirs")));
        assertEquals("none", value(of(null, null, "HF_TOKEN", "hf_theirs", "GRIFFIN_HUB", "https://other")));
        assertEquals("ours", value(of("https://other", null, "HF_TOKEN", "hf_theirs", "GRIFFIN_HUB_TOKEN", "ours")));
        Files.writeString(Files.createDirectories(home.resolve("moved")).resolve("token"), "hf_moved");
        assertEquals("hf_moved", value(of(null, null, "HF_HOME", home.resolve("moved").toString())));
    }

    @Test
    void tokensAreNotShown() {
        HubSettings settings = of(null, null, "HF_TOKEN", "hf_secret");
        assertFalse(settings.toString().contains("secret"), settings::toString);
        assertTrue(settings.toString().contains("token from HF_TOKEN"), settings::toString);
    }

    @ParameterizedTest
    @ValueSource(strings = {"secret two", "secret\r\nHost: x", "secr\u00e9t", "\0secret"})
    void whatIsNoTokenIsRefusedUnseen(String token) throws IOException {
        String message = assertThrows(InvalidRequestException.class, () -> of(null, null, "HF_TOKEN", token)).getMessage();
        assertTrue(message.contains("HF_TOKEN") && !message.contains("secr"), message);
        Path file = Files.writeString(home.resolve("token"), token);
        message = assertThrows(InvalidRequestException.class, () -> of(null, file)).getMessage();
        assertTrue(message.contains(file.toString()) && !message.contains("secr"), message);
    }

    @Test
    void tokenFilesMustBeThere() throws IOException {
        assertTrue(assertThrows(HubException.class, () -> of(null, home.resolve("none"))).getMessage().contains("cannot be read"));
        Path empty = Files.writeString(home.resolve("empty"), "\n");
        assertTrue(assertThrows(InvalidRequestException.class, () -> of(null, empty)).getMessage().contains("found nothing"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "hub", "ftp://hub", "file:///tmp", "http://", "http:///x", "https://hub?x", "https://hub#x", "http://a b",
        "https://user:secret@hub"})
    void whatIsNoAddressIsRefused(String address) {
        String message = assertThrows(InvalidRequestException.class, () -> of(address, null)).getMessage();
        assertTrue(message.startsWith("--hub: ") && message.contains("http://") && !message.contains("secret"), message);
        if (!address.isEmpty()) {
            message = assertThrows(InvalidRequestException.class, () -> of(null, null, "GRIFFIN_HUB", address)).getMessage();
            assertTrue(message.startsWith("GRIFFIN_HUB: "), message);
        }
    }

    @ParameterizedTest
    @CsvSource({"'',1", "a..b,1", "../x,1", "-x,1", "a b,1", "main,0", "main,65"})
    void revisionAndConnectionsHaveBounds(String revision, int connections) {
        assertThrows(InvalidRequestException.class, () -> HubSettings.ofDefault().withRevision(revision).withConnections(connections));
    }
}
