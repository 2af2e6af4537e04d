package griffin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.hub.ModelName;
import griffin.hub.PullListener.Plan;
import griffin.hub.StandInHub;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** The commands pull, list and rm, and models by name, against a hub on this machine. */
class PullCommandTest {

    private static final Path STORIES = Path.of("../stories/src/main/resources/griffin/stories");

    @TempDir
    Path folder;
    private StandInHub hub;

    @BeforeEach
    void serve() throws IOException {
        serve("tiny/a", Cli.GOLDEN.resolve("tiny-a"));
        serve("tiny/c", Cli.GOLDEN.resolve("tiny-c"));
        serve("google/recurrentgemma-2b-it", Cli.GOLDEN.resolve("tiny-b"));
        hub = new StandInHub(folder.resolve("served"));
    }

    private void serve(String name, Path model) throws IOException {
        Path target = folder.resolve("served").resolve(name);
        Files.createDirectories(target);
        try (var files = Files.list(model)) {
            for (Path file : files.toList()) {
                Files.copy(file, target.resolve(file.getFileName()));
            }
        }
    }

    @AfterEach
    void end() {
        hub.close();
    }

    private Cli cli() {
        Cli cli = new Cli();
        cli.environment = Map.of("GRIFFIN_MODELS", folder.resolve("models").toString(), "GRIFFIN_HUB", hub.address().toString());
        return cli;
    }

    private Cli.Result run(int exit, String... arguments) {
        Cli.Result result = cli().launch(arguments);
        assertEquals(exit, result.exit(), result::err);
        return result;
    }

    private static void assertContains(String text, String... parts) {
        for (String part : parts) {
            assertTrue(text.contains(part), () -> "no '" + part + "' in: " + text);
        }
    }

    /** What is pulled writes what the same model beside it writes. */
    @Test
    void aPulledModelRuns() throws IOException {
        serve("example/stories", STORIES);
        Cli.Result pulled = run(0, "pull", "example/stories");
        assertEquals("", pulled.out());
        assertContains(pulled.err(), "griffin-run: pulling example/stories at ", " from 127.0.0.1: 6 files, 30.2 MB",
                "griffin-run: example/stories is here, 30.2 MB in ");
        String[] rest = {"--device", "cpu", "--temperature", "0", "--max-tokens", "20", "Once upon a time"};
        String[] named = {"--model", "example/stories", "--device", "cpu", "--temperature", "0", "--max-tokens", "20", "Once upon a time"};
        String story = run(0, rest).out();
        assertTrue(story.length() > 20);
        assertEquals(story, run(0, named).out());
        assertEquals("example/stories", run(0, "info", "--json", "--model", "example/stories").json().get("model"));
        assertContains(run(0, "pull", "example/stories").err(), "example/stories is up to date: " + folder.resolve("models"));
    }

    @Test
    void namesStandWhereFoldersDo() {
        run(0, "pull", "tiny/c");
        run(0, "pull", "recurrentgemma:2b-it");
        for (String[] pair : new String[][] {{"tiny/c", "tiny-c"}, {"recurrentgemma:2B-IT", "tiny-b"},
            {"google/recurrentgemma-2b-it", "tiny-b"}}) {
            String byName =
                    run(0, "--model", pair[0], "--device", "cpu", "--ids", "2,5,7", "--max-tokens", "8", "--json").list("ids").toString();
            assertEquals(run(0, "--model", Cli.GOLDEN.resolve(pair[1]).toString(), "--device", "cpu", "--ids", "2,5,7", "--max-tokens", "8",
                    "--json").list("ids").toString(), byName);
        }
        run(0, "logits", "--model", "tiny/c", "--ids", "2,5", "--out", folder.resolve("logits.safetensors").toString());
        assertEquals(1, run(1, "--model", "tiny/a", "x").err().lines().count());
        assertContains(run(1, "--model", "tiny/a", "x").err(), "the model tiny/a is not in " + folder.resolve("models")
                + ": fetch it with griffin-run pull tiny/a");
    }

    @Test
    void listAndRemove() {
        assertContains(run(0, "list").err(), "there are no models in " + folder.resolve("models") + ": griffin-run pull NAME");
        Map<?, ?> pulled = run(0, "pull", "--json", "google/recurrentgemma-2b-it").json();
        assertEquals(1_544_076L, pulled.get("bytes"));
        assertEquals(1_543_312L, pulled.get("fetched_bytes"), "the configuration is read before it is known what is to fetch");
        run(0, "pull", "tiny/a");
        Cli.Result listed = run(0, "list");
        String revision = ((String) pulled.get("revision")).substring(0, 12);
        assertEquals(List.of("google/recurrentgemma-2b-it", "tiny/a"), listed.out().lines().map(line -> line.split(" ")[0]).toList());
        assertTrue(listed.out().lines().findFirst().orElseThrow()
                .matches("google/recurrentgemma-2b-it +1\\.54 MB  " + revision + "  \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d  "
                        + pulled.get("path")),
                listed::out);
        Map<?, ?> json = run(0, "list", "--json").json();
        assertEquals(folder.resolve("models").toString(), json.get("folder"));
        assertEquals(Map.of("name", "google/recurrentgemma-2b-it", "bytes", 1_544_076L, "revision", pulled.get("revision"), "pulled",
                pulled.get("pulled"), "path", pulled.get("path")), ((List<?>) json.get("models")).getFirst());
        assertContains(run(0, "rm", "recurrentgemma:2b-it").err(), "google/recurrentgemma-2b-it is deleted");
        assertEquals("tiny/a", run(0, "rm", "tiny/a", "--json", "--yes").json().get("removed"));
        assertEquals("", run(0, "list").out());
        assertContains(run(1, "rm", "tiny/a").err(), "the model tiny/a is not in");
    }

    @Test
    void aPersonIsAskedFirst() {
        run(0, "pull", "tiny/a");
        for (String answer : List.of("n\n", "\n", "", "yess\n")) {
            Cli cli = cli();
            cli.inTerminal = true;
            cli.errTerminal = true;
            cli.input = answer;
            Cli.Result result = cli.launch("rm", "tiny/a");
            assertEquals(0, result.exit());
            assertContains(result.err(), "delete tiny/a (560 kB)? [y/N] ", "nothing was deleted");
        }
        Cli cli = cli();
        cli.inTerminal = true;
        cli.errTerminal = true;
        cli.input = "Y\n";
        assertContains(cli.launch("rm", "tiny/a").err(), "tiny/a is deleted");
    }

    @Test
    void gatedModelsAreExplained() {
        hub.hubFault = exchange -> {
            if (exchange.getRequestHeaders().containsKey("Authorization") || exchange.getRequestURI().getPath().startsWith("/api/")) {
                return false;
            }
            exchange.getResponseHeaders().set("X-Error-Code", "GatedRepo");
            StandInHub.answer(exchange, 401, "text/plain", "no");
            return true;
        };
        Cli.Result refused = run(1, "pull", "recurrentgemma:2b-it");
        assertEquals("", refused.out());
        assertContains(refused.err(), "Gemma's terms of use", "google/recurrentgemma-2b-it is gated", "Make a token");
        Cli cli = cli();
        Map<String, String> more = new java.util.HashMap<>(cli.environment);
        more.put("GRIFFIN_HUB_TOKEN", "hf_secret");
        cli.environment = more;
        Cli.Result accepted = cli.launch("pull", "recurrentgemma:2b-it");
        assertEquals(0, accepted.exit(), accepted::err);
        assertFalse(accepted.err().contains("Gemma's terms") || accepted.err().contains("secret"),
                "told once, and never the token: " + accepted);
    }

    /** Where nobody watches, a line for each tenth of what is large. */
    @Test
    void longPullsReportTenths() {
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        Terminal terminal =
                new Terminal(new ByteArrayInputStream(new byte[0]), null, new Output(err, "standard error"), false, false, false,
                        Map.of(), new Interrupts());
        PullCommand.Shown shown = new PullCommand.Shown(terminal, ModelName.parse("a/b"));
        shown.started(new Plan(ModelName.parse("a/b"), "hub.example", "0123456789abcdef", 3, 200_000_000, 50_000_000));
        for (long bytes = 50_000_000; bytes <= 200_000_000; bytes += 1_000_000) {
            shown.progress(bytes, 200_000_000);
        }
        List<String> lines = err.toString(StandardCharsets.UTF_8).lines().toList();
        assertEquals("griffin-run: pulling a/b at 0123456789ab from hub.example: 3 files, 200 MB, of which 50.0 MB are here",
                lines.getFirst());
        assertEquals("griffin-run: a/b: 30 %, 60.0 MB of 200 MB", lines.get(1));
        assertEquals(8, lines.size());
    }

    @Test
    void ratesAreOfWhatCameNow() {
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        Terminal terminal =
                new Terminal(new ByteArrayInputStream(new byte[0]), null, new Output(err, "standard error"), false, false, false,
                        Map.of(), new Interrupts());
        Progress progress = Progress.start(terminal, "pulling a/b", "MB");
        progress.from(500);
        assertEquals("pulling a/b [########........] 500/1000 MB, 2 s", progress.line(500, 1000, 2));
        assertEquals("pulling a/b [#########.......] 600/1000 MB, 50 MB/s, 8 s left", progress.line(600, 1000, 2));
    }

    @Test
    void sizesAreRoundedToThreeDigits() {
        assertEquals(List.of("0 bytes", "999 bytes", "1.00 kB", "10.0 kB", "999 kB", "1.00 MB", "5.37 GB", "123 GB", "2.00 TB"),
                List.of(0L, 999L, 1000L, 9_999L, 999_400L, 999_600L, 5_370_000_000L, 123_000_000_000L, 2_000_000_000_000L).stream()
                        .map(Sizes::of).toList());
    }

    /** Ctrl-C ends a pull with what there is of it kept. */
    @Test
    @DisabledOnOs(OS.WINDOWS)
    void anInterruptedPullGoesOn() throws Exception {
        ProcessTest.assumeHeard("INT");
        CountDownLatch begun = new CountDownLatch(1);
        CountDownLatch over = new CountDownLatch(1);
        hub.storageFault = exchange -> {
            begun.countDown();
            try {
                over.await();
            } catch (InterruptedException e) {
                throw new IOException(e);
            }
            return true;
        };
        Path err = folder.resolve("err");
        ProcessBuilder command = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-cp",
                System.getProperty("java.class.path"), "griffin.cli.Main", "pull", "tiny/c").redirectError(err.toFile());
        command.environment().putAll(cli().environment);
        command.environment().put(Terminal.TTY_VARIABLE, "");
        Process process = command.start();
        try {
            assertTrue(begun.await(60, TimeUnit.SECONDS), "it must begin");
            new ProcessBuilder("kill", "-INT", Long.toString(process.pid())).start().waitFor();
            assertTrue(process.waitFor(60, TimeUnit.SECONDS), "it must end");
        } finally {
            process.destroyForcibly();
            over.countDown();
        }
        assertEquals(130, process.exitValue());
        assertContains(Files.readString(err), "griffin-run: stopped with 0 bytes of 850 kB here; the same command goes on from there");
        assertEquals("", run(0, "list").out());
        hub.storageFault = exchange -> false;
        assertContains(run(0, "pull", "tiny/c").err(), "tiny/c is here");
    }
}
