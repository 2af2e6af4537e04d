package griffin.server.clients;

import static griffin.server.clients.Served.MODEL;
import static griffin.server.clients.Served.MOST;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedReader;
import java.io.File;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** curl as people use it: its default content type, and streams that come piece by piece. */
class CurlTest {

    private static List<String> curl(String... arguments) throws Exception {
        assumeTrue(Stream.of(System.getenv("PATH").split(File.pathSeparator)).anyMatch(folder -> new File(folder, "curl").canExecute()),
                "there is no curl here");
        List<String> command = new ArrayList<>(List.of("curl", "-sN"));
        command.addAll(List.of(arguments));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        List<String> lines;
        try (BufferedReader reader = process.inputReader()) {
            lines = reader.lines().filter(line -> !line.isEmpty()).toList();
        }
        assertEquals(0, process.waitFor(), lines::toString);
        return lines;
    }

    @Test
    void streamsBothWays() throws Exception {
        try (Served served = new Served(null)) {
            List<String> events = curl(served.url() + "/v1/completions", "-d",
                    "{\"model\":\"" + MODEL + "\",\"prompt\":\"Once upon a time\",\"stream\":true,\"temperature\":0,\"max_tokens\":" + MOST
                            + "}");
            assertEquals("data: [DONE]", events.getLast());
            assertTrue(events.size() > MOST / 2 && events.stream().allMatch(line -> line.startsWith("data: ")), events::toString);
            List<String> lines = curl(served.url() + "/api/generate", "-d",
                    "{\"model\":\"" + MODEL + "\",\"prompt\":\"Tell me a story.\",\"options\":{\"num_predict\":" + MOST
                            + ",\"temperature\":0}}");
            assertTrue(lines.size() > MOST / 2 && lines.getLast().contains("\"done\":true"), lines::toString);
        }
    }
}
