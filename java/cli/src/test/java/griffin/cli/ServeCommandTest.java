package griffin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code serve} as a process of its own, and what {@code info} says of its settings. */
class ServeCommandTest {

    private static final long SECONDS = 60;

    @TempDir
    Path folder;

    private final HttpClient client = HttpClient.newHttpClient();

    private Process start(Map<String, String> environment, String... arguments) throws Exception {
        List<String> words = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "--add-modules",
                "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", "-XX:+UseSerialGC", "-cp",
                System.getProperty("java.class.path"), "griffin.cli.Main", "serve", "--device", "cpu", "--port", "0", "--json"));
        words.addAll(Arrays.asList(arguments));
        ProcessBuilder builder = new ProcessBuilder(words).redirectError(folder.resolve("err").toFile());
        builder.environment().put(Terminal.TTY_VARIABLE, "");
        builder.environment().putAll(environment);
        Process process = builder.start();
        CompletableFuture.delayedExecutor(SECONDS, TimeUnit.SECONDS).execute(process::destroyForcibly); // reading has no time limit
        return process;
    }

    /** The object that says where it listens. */
    private Map<?, ?> listening(Process process) throws Exception {
        BufferedReader out = process.inputReader();
        String line = out.readLine();
        assertTrue(line != null && line.startsWith("{"), this::errors);
        return new Cli.Result(0, line, "").json();
    }

    private String errors() {
        try {
            return Files.readString(folder.resolve("err"));
        } catch (Exception e) {
            return e.toString();
        }
    }

    private int ask(String url, String... headers) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url));
        if (headers.length > 0) {
            request.headers(headers);
        }
        return client.send(request.build(), HttpResponse.BodyHandlers.ofString()).statusCode();
    }

    @ParameterizedTest
    @CsvSource({"TERM", "INT"})
    @DisabledOnOs(OS.WINDOWS)
    void servesUntilASignal(String signal) throws Exception {
        Process process = start(Map.of("GRIFFIN_API_KEY", "k", "GRIFFIN_QUEUE", "7"), "--parallel", "3", "--memory", "512M", "--state-dir",
                folder.resolve("states").toString());
        try {
            Map<?, ?> said = listening(process);
            assertEquals(3L, said.get("slots"));
            assertEquals(401, ask(said.get("url") + "/v1/models"));
            assertEquals(200, ask(said.get("url") + "/v1/models", "Authorization", "Bearer k"));
            HttpResponse<String> answer = client.send(HttpRequest.newBuilder(URI.create(said.get("url") + "/v1/completions"))
                    .header("Authorization", "Bearer k")
                    .POST(HttpRequest.BodyPublishers
                            .ofString("{\"model\":\"griffin-stories\",\"prompt\":\"Once upon a time\",\"max_tokens\":4}"))
                    .build(), HttpResponse.BodyHandlers.ofString());
            assertEquals(200, answer.statusCode(), answer.body());
            new ProcessBuilder("kill", "-" + signal, Long.toString(process.pid())).start().waitFor();
            assertTrue(process.waitFor(SECONDS, TimeUnit.SECONDS), "it must end");
            assertEquals(0, process.exitValue(), this::errors);
            assertTrue(errors().contains("3 state slots within 512 MiB, 0.4 MiB each") && errors().contains("up to 7 requests wait"),
                    errors());
            assertTrue(errors().contains("texts of any length") && errors().contains("state cache on: 512 MiB in memory, 8G in "),
                    errors());
            assertFalse(errors().contains("warning"), errors());
        } finally {
            process.destroyForcibly();
        }
    }

    @Test
    void warnsWhereEveryoneMayAsk() throws Exception {
        Process process = start(Map.of(), "--host", "0.0.0.0", "--state-cache", "off", "--window", "100");
        try {
            listening(process);
            assertTrue(errors().contains("warning: everyone who can reach 0.0.0.0 may use this server"), errors());
            assertTrue(errors().contains("only requests to this machine's addresses and names (localhost) are answered; --allowed-host"),
                    errors());
            assertTrue(errors().contains("state cache off"), errors());
            assertTrue(errors().contains("the window is 100 tokens, and the model was trained with 256"), errors());
        } finally {
            process.destroyForcibly();
        }
    }

    @Test
    void saysThatAPortIsTaken() throws Exception {
        try (ServerSocket taken = new ServerSocket(0)) {
            Cli.Result result = Cli.run("serve", "--port", Integer.toString(taken.getLocalPort()), "--host", "0.0.0.0");
            assertEquals(1, result.exit());
            assertTrue(result.err().contains("cannot listen at 0.0.0.0:" + taken.getLocalPort()), result.err());
        }
    }

    @ParameterizedTest
    @CsvSource({"--memory,lots", "--memory,1.5G", "--state-cache,maybe", "--state-compression,zip", "--port,70000", "--parallel,0",
        "--batch,-1", "--batch,7", "--chunk,7", "--memory,0", "--max-body,1", "--queue,many", "--allowed-host,http://x", "--window,x",
        "--drain,-5"})
    void wrongOptionsAreRefused(String option, String value) {
        Cli.Result result = Cli.run("serve", option, value);
        assertEquals(2, result.exit(), result.err());
        assertTrue(result.err().contains(option + " must be") && result.err().contains(value), result.err());
    }

    @Test
    void aWrongVariableIsNamed() {
        Cli cli = new Cli();
        cli.environment = Map.of("GRIFFIN_PORT", "abc");
        Cli.Result result = cli.launch("serve");
        assertEquals(2, result.exit());
        assertTrue(result.err().contains("GRIFFIN_PORT must be a whole number, not 'abc'"), result::err);
        assertTrue(Cli.run("serve", "--port", "x").err().contains("--port must be a whole number"));
    }

    /** The window of 0 is the model's own: no warning, and said where settings are told. */
    @Test
    void noWindowIsTheModelsOwn() {
        for (String value : List.of("", "0")) {
            Cli cli = new Cli();
            cli.environment = Map.of("GRIFFIN_WINDOW", value);
            Cli.Result result = cli.launch("info", "--device", "cpu");
            assertEquals("", result.err());
            assertTrue(result.out().contains("window        256 tokens"), result.out());
            String settings = cli.launch("info", "--settings").out();
            assertTrue(settings.matches("(?s).*--window +GRIFFIN_WINDOW +0, as many tokens as the model was trained with.*"), settings);
        }
        for (String command : List.of("serve", "info", "chat", "logits")) {
            String help = Cli.run(command, "--help").out().replaceAll("\\s+", " ");
            assertTrue(help.contains("Default, and 0: as many as it was trained with."), help);
        }
    }

    /** A server's object comes when it listens, not when everything is done. */
    @Test
    void helpTellsWhenTheObjectComes() {
        String help = Cli.run("serve", "--help").out().replaceAll("\\s+", " ");
        assertTrue(help.contains("where the server listens, as soon as it does"), help);
        assertFalse(help.contains("once everything is done"), help);
        assertTrue(Cli.run("chat", "--help").out().replaceAll("\\s+", " ").contains("once everything is done"));
    }

    @Test
    void infoShowsTheSettings() {
        Cli cli = new Cli();
        cli.environment =
                Map.of("GRIFFIN_MEMORY", "2048M", "GRIFFIN_STATE_CACHE", "off", "GRIFFIN_API_KEY", "s3cret", "GRIFFIN_WINDOW", "128",
                        "GRIFFIN_ALLOWED_HOSTS", "box,box.example");
        String model = cli.launch("info").out();
        assertTrue(model.contains("window        128 tokens"), model);
        assertTrue(model.contains("unlimited, always"), model);
        assertTrue(model.endsWith("""
                settings      of serve: 5 from the environment; griffin-run info --settings lists all 23, with option and variable
                              --api-key (set) (GRIFFIN_API_KEY)
                              --allowed-host box,box.example (GRIFFIN_ALLOWED_HOSTS)
                              --memory 2048M (GRIFFIN_MEMORY)
                              --state-cache off (GRIFFIN_STATE_CACHE)
                              --window 128 (GRIFFIN_WINDOW)
                """), model);
        assertTrue(
                Cli.run("info").out().contains("settings      of serve: none from the environment; griffin-run info --settings lists all"));
        assertEquals(cli.launch("info", "--json").json().get("settings"),
                cli.launch("info", "--settings", "--json").json().get("settings"));
        Cli.Result result = cli.launch("info", "--settings");
        assertEquals(0, result.exit(), result.err());
        assertTrue(result.out().matches("(?s).*--memory +GRIFFIN_MEMORY +2048M \\(from the environment\\).*"), result.out());
        assertTrue(result.out().matches("(?s).*--state-cache +GRIFFIN_STATE_CACHE +off \\(from the environment\\).*"), result.out());
        assertTrue(result.out().matches("(?s).*--allowed-host +GRIFFIN_ALLOWED_HOSTS +box,box.example \\(from the environment\\).*"),
                result.out());
        assertTrue(result.out().matches("(?s).*--port +GRIFFIN_PORT +11434\n.*"), result.out());
        assertFalse((model + result.out()).contains("s3cret"), "a key is not shown");
        for (String name : List.of("MEMORY", "PARALLEL", "BATCH", "STATE_CACHE", "STATE_DIR", "STATE_COMPRESSION", "WINDOW", "QUEUE",
                "HOST",
                "PORT", "API_KEY")) {
            assertTrue(result.out().contains("GRIFFIN_" + name + " "), name);
        }
    }
}
