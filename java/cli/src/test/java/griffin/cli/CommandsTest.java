package griffin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertIterableEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.error.DeviceException;
import griffin.weights.ModelFiles;
import griffin.weights.Safetensors;
import griffin.weights.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The commands info, devices, logits, completion and chat, and help. */
class CommandsTest {

    @TempDir
    Path folder;

    @Test
    void infoTellsExactSizes() {
        Map<?, ?> json = Cli.run("info", "--json").json();
        assertEquals(11L, json.get("layers"));
        assertEquals(8L, json.get("recurrent_layers"));
        assertEquals(15_032_000L, json.get("parameters"));
        assertEquals(30_064_000L, json.get("weight_bytes"));
        // 8 layers x 320 x (1 + 3) and 3 layers x 2 x 256 x 64, in float32; all but h in bfloat16
        assertEquals(434_176L, json.get("state_bytes"));
        assertEquals(434_176L, json.get("state_bytes_f32"));
        assertEquals(222_208L, json.get("state_bytes_bf16"));
        assertEquals(256L, json.get("window"));
        assertEquals(List.of(1L, 261L), json.get("end_ids"));
        String words = Cli.run("info").out();
        assertTrue(words.contains("15,032,000") && words.contains("30,064,000 bytes") && words.contains("RRARRARRARR"), words);
        assertEquals(434_176L, Cli.run("info", "--json", "--chunk", "7").json().get("state_bytes"));
        assertEquals("mapped", Cli.run("info", "--json", "--device", "cpu").json().get("weights"));
        assertEquals("memory", Cli.run("info", "--json", "--device", "cpu", "--weights", "memory").json().get("weights"));
        assertTrue(Cli.run("info", "--device", "cpu", "--weights", "memory").out().contains("(28.7 MiB), copied into memory"));
    }

    @Test
    void infoWorksWithoutTokenizer() {
        Map<?, ?> json = Cli.run("info", "--json", "--model", Cli.TINY).json();
        assertEquals(false, json.get("tokenizer"));
        assertEquals(97L, json.get("vocabulary"));
        assertTrue(Cli.run("info", "--model", Cli.TINY).out().contains("ids only"));
    }

    @Test
    void devicesSayWhyNot() {
        List<?> devices = Cli.run("devices", "--json").list("devices");
        assertEquals(List.of("cuda", "metal", "cpu", "reference"), devices.stream().map(d -> ((Map<?, ?>) d).get("device")).toList());
        for (Object device : devices) {
            assertFalse(((String) ((Map<?, ?>) device).get("detail")).isBlank());
        }
        assertTrue(Cli.run("devices").out().lines().anyMatch(line -> line.matches("cpu +yes .*threads.*")));
    }

    @ParameterizedTest
    @CsvSource({"tiny-a,cpu,256", "tiny-b,cpu,7", "tiny-c,reference,1", "real-head,cpu,33"})
    void logitsEqualTheGoldenOnes(String name, String device, String chunk) throws Exception {
        Path directory = Cli.GOLDEN.resolve(name);
        Path file = folder.resolve("logits.safetensors");
        try (Arena arena = Arena.ofConfined()) {
            Safetensors golden = Safetensors.open(ModelFiles.of(directory), "golden.safetensors", arena);
            Tensor ids = golden.find("input_ids").orElseThrow();
            StringJoiner list = new StringJoiner(" ");
            for (int i = 0; i < ids.elements(); i++) {
                list.add(Integer.toString(ids.getInt(i)));
            }
            Path idFile = Files.writeString(folder.resolve("ids"), list.toString());
            Cli.Result result =
                    Cli.run("logits", "--model", directory.toString(), "--ids", "@" + idFile, "--device", device, "--chunk", chunk, "--out",
                            file.toString(), "--json");
            assertEquals(0, result.exit(), result::err);
            Tensor expected = golden.find("logits").orElseThrow();
            Tensor found = Safetensors.open(ModelFiles.of(folder), "logits.safetensors", arena).find("logits").orElseThrow();
            assertEquals(List.of(expected.shape()[0], expected.shape()[1]), result.list("shape"));
            assertEquals(expected.elements(), found.elements());
            for (long i = 0; i < found.elements(); i++) {
                assertEquals(expected.get(i), found.get(i), 5e-4f, name);
            }
        }
    }

    @Test
    void interruptedLogitsLeaveNoFile() throws Exception {
        Path file = folder.resolve("logits.safetensors");
        Cli cli = new Cli();
        Thread pressing = new Thread(() -> {
            while (!cli.interrupts.raised()) {
                if (Thread.currentThread().isInterrupted()) {
                    return;
                }
                cli.interrupts.otherwise(signal -> true);
                cli.interrupts.raise(Interrupts.Signal.INT);
            }
        });
        pressing.start();
        Cli.Result result = cli.launch("logits", "--model", Cli.TINY, "--ids", "2" + ",3".repeat(20_000), "--out", file.toString());
        pressing.interrupt();
        pressing.join();
        assertEquals(130, result.exit(), result::err);
        try (var files = Files.list(folder)) {
            assertEquals(0, files.count());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"bash", "zsh", "fish"})
    void completionKnowsCommandsAndOptions(String shell) {
        String script = Cli.run("completion", shell).out();
        for (String word : List.of("chat", "info", "devices", "pull", "list", "google/recurrentgemma-9b-it", "token-file", "logits",
                "completion", "temperature", "repetition-penalty", "resume",
                "reference")) {
            assertTrue(script.contains(word), word);
        }
        assertEquals(script, Cli.run("completion", shell, "--json").json().get("script"));
    }

    /** An option's value and a prompt are no commands; what a command takes is offered, and no file. */
    @Test
    void fishCompletionHasItsConditions() {
        String script = Cli.run("completion", "fish").out();
        String none =
                "complete -c griffin-run -n 'not __fish_seen_subcommand_from chat info devices pull list rm serve logits state completion "
                        + "help' ";
        for (String line : List.of(none + "-l device -x -a 'auto cpu cuda metal reference' -d ", none + "-f -a chat -d ",
                "complete -c griffin-run -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'\n",
                "complete -c griffin-run -n '__fish_seen_subcommand_from help' -f -a 'chat info devices pull list rm serve ",
                "complete -c griffin-run -n '__fish_seen_subcommand_from chat' -f\n",
                "complete -c griffin-run -n '__fish_seen_subcommand_from logits' -s o -l out -r -F -d ")) {
            assertTrue(script.contains(line), line);
        }
    }

    @Test
    void chatKeepsItsHistoryInTheState() throws Exception {
        Cli cli = new Cli();
        String state = folder.resolve("chat.state").toString();
        cli.input = "Hello\n\nTell me a story\n/stats\n/save " + state + "\n/nothing\n/load " + folder.resolve("none") + "\n/save\n";
        Cli.Result result = cli.launch("chat", "--device", "cpu", "--temperature", "0", "--max-tokens", "8");
        assertEquals(0, result.exit(), result::err);
        assertEquals(List.of("the chat has", "saved", "there is no command /nothing", "there is no state file", "/save needs"),
                result.err().lines()
                        .map(line -> List
                                .of("the chat has", "saved", "there is no command /nothing", "there is no state file", "/save needs")
                                .stream().filter(line::contains).findFirst().orElse(line))
                        .toList());

        cli.input = "Hello\nTell me a story\n/exit\nnever read\n";
        Map<?, ?> json = cli.launch("chat", "--device", "cpu", "--temperature", "0", "--max-tokens", "8", "--json").json();
        List<?> turns = (List<?>) json.get("turns");
        assertEquals(2, turns.size());
        assertEquals(result.out(), ((Map<?, ?>) turns.get(0)).get("text") + "\n" + ((Map<?, ?>) turns.get(1)).get("text") + "\n");
        assertEquals(2L, ((List<?>) ((Map<?, ?>) turns.get(0)).get("prompt_ids")).getFirst());
        assertFalse(((List<?>) ((Map<?, ?>) turns.get(1)).get("prompt_ids")).contains(2L), "a later turn reads its own tokens only");

        cli.input = "Go on\n";
        String resumed = cli.launch("chat", "--device", "cpu", "--temperature", "0", "--max-tokens", "8", "--resume", state).out();
        cli.input = "Hello\nTell me a story\nGo on\n";
        String whole = cli.launch("chat", "--device", "cpu", "--temperature", "0", "--max-tokens", "8").out();
        assertEquals(whole, result.out() + resumed);
    }

    @Test
    void aChatSurvivesAFailedReplyAndAnImpossibleName() throws Exception {
        Path state = folder.resolve("survivor.state");
        Cli cli = new Cli();
        cli.input = "Hello\n/save a\0b\n/load a\0b\nTell me a story\n/stats\n";
        cli.beforeWrite = n -> {
            if (n == 3) {
                throw new DeviceException("the reply failed");
            }
        };
        Cli.Result result = cli.launch("chat", "--device", "cpu", "--temperature", "0", "--max-tokens", "8", "--save", state.toString());
        assertEquals(1, result.exit(), result::err);
        assertEquals(List.of("the reply failed", "cannot be the name of a file", "cannot be the name of a file", "the chat has"),
                result.err().lines().map(line -> List.of("the reply failed", "cannot be the name of a file", "the chat has").stream()
                        .filter(line::contains).findFirst().orElse(line)).toList());
        cli.input = "Hello\n";
        cli.beforeWrite = n -> {
            throw new IllegalStateException("a bug");
        };
        Files.delete(state);
        assertEquals(1, cli.launch("chat", "--device", "cpu", "--save", state.toString()).exit());
        assertTrue(Files.exists(state), "what ends the chat saves it");
    }

    private static final String SHARD = "model-00001-of-00003.safetensors";

    private Path copyOfStories() throws IOException {
        Path model = Files.createDirectory(folder.resolve("model"));
        Path stories = Path.of("../stories/src/main/resources/griffin/stories");
        for (String name : List.of("config.json", "tokenizer.json", "model.safetensors.index.json", SHARD, SHARD.replace("1-", "2-"),
                SHARD.replace("1-", "3-"))) {
            Files.copy(stories.resolve(name), model.resolve(name));
        }
        return model;
    }

    /** Weights that are no numbers: the object tells what was said until then, and why there is no more. */
    @Test
    void aFailedReplyIsToldInJson() throws Exception {
        Path model = copyOfStories();
        byte[] bytes = Files.readAllBytes(model.resolve(SHARD));
        int header = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getInt();
        Arrays.fill(bytes, 8 + header, bytes.length, (byte) 0xFF);
        Files.write(model.resolve(SHARD), bytes);
        Cli cli = new Cli();
        cli.input = "Hello\n";
        Cli.Result result = cli.launch("chat", "--device", "cpu", "--model", model.toString(), "--json");
        assertEquals(1, result.exit(), result::err);
        assertEquals(List.of(), result.list("turns"));
        assertEquals(result.err(), "griffin-run: " + result.json().get("error") + "\n");
    }

    /** A model whose file is cut short while it talks: the state is lost, which is said and not saved. */
    @Test
    void aLostStateIsNotSaved() throws Exception {
        Path model = copyOfStories();
        Path state = Files.writeString(folder.resolve("lost.state"), "an older one");
        Cli cli = new Cli();
        cli.input = "Hello\nAgain\n/save " + folder.resolve("other") + "\n";
        cli.beforeWrite = n -> {
            try (FileChannel weights = FileChannel.open(model.resolve(SHARD), StandardOpenOption.WRITE)) {
                weights.truncate(0);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        };
        Cli.Result result = cli.launch("chat", "--device", "cpu", "--model", model.toString(), "--save", state.toString());
        assertEquals(1, result.exit(), result::err);
        List<String> expected = List.of("cut short", "/load FILE goes on", "nothing to save", "is not written");
        assertEquals(expected, result.err().lines()
                .map(line -> expected.stream().filter(line::contains).findFirst().orElse(line)).toList());
        assertEquals("an older one", Files.readString(state));
        assertFalse(Files.exists(folder.resolve("other")));
    }

    @Test
    void interruptStopsAReplyButNotTheChat() {
        Cli cli = new Cli();
        cli.inTerminal = true;
        cli.input = "Tell me a story\n/stats\n";
        cli.beforeWrite = n -> {
            if (n == 3) {
                cli.interrupts.raise(Interrupts.Signal.INT);
            }
        };
        Cli.Result result = cli.launch("chat", "--device", "cpu", "--max-tokens", "100000");
        assertEquals(0, result.exit(), result::err);
        assertTrue(result.err().contains("you> ") && result.err().contains("ended by cancelled"), result::err);
        assertFalse(result.out().contains("you>"), result::out);
    }

    @Test
    void terminationDuringAReplyEndsTheChatAndSaves() {
        Cli cli = new Cli();
        Path state = folder.resolve("chat.state");
        cli.input = "Tell me a story\n/stats\n";
        cli.beforeWrite = n -> {
            if (n == 3) {
                cli.interrupts.raise(Interrupts.Signal.TERM);
            }
        };
        Cli.Result result = cli.launch("chat", "--max-tokens", "100000", "--save", state.toString());
        assertEquals(143, result.exit(), result::err);
        assertFalse(result.err().contains("the chat has"), result::err);
        assertTrue(Files.exists(state));
    }

    /** Options may stand before the command; what only looks like one stays what it is. */
    @Test
    void optionsMayComeBeforeTheCommand() throws Exception {
        assertEquals(Cli.run("info", "--json", "--model", Cli.TINY).out(), Cli.run("--json", "--model", Cli.TINY, "info").out());
        assertEquals(Cli.run("info", "--help").out(), Cli.run("--help", "info").out());
        assertEquals(0, Cli.run("--model", Cli.TINY, "--ids", "2,5", "logits", "--out", folder.resolve("l").toString()).exit());
        Cli.Result stop = Cli.run("--max-tokens", "0", "--json", "--stop", "info", "Once");
        assertTrue(stop.json().containsKey("prompt_ids"), "the value of an option is no command");
        assertTrue(Cli.run("--max-tokens", "0", "--json", "--", "info").json().containsKey("prompt_ids"));
        assertTrue(Cli.run("--max-tokens", "0", "--json", "--", "inof").json().containsKey("prompt_ids"));
        assertTrue(Cli.run("--max-tokens", "0", "--json", "Inform").json().containsKey("prompt_ids"));
    }

    /** Arrow keys reach a program that reads lines as escape sequences; in a pipe nothing is taken away. */
    @Test
    void keysAreNoPartOfAMessage() {
        Cli cli = new Cli();
        cli.inTerminal = true;
        cli.input = "\033[A\033[1;5DHel\033OClo\n\033[B\n";
        String[] arguments = {"chat", "--device", "cpu", "--max-tokens", "1", "--json"};
        List<?> turns = cli.launch(arguments).list("turns");
        assertEquals(1, turns.size(), "a line of keys alone is empty");
        assertEquals("Hello", ((Map<?, ?>) turns.getFirst()).get("message"));
        cli.inTerminal = false;
        assertEquals("\033[A\033[1;5DHel\033OClo", ((Map<?, ?>) cli.launch(arguments).list("turns").getFirst()).get("message"));
    }

    @Test
    void chatNeedsTurns() {
        Cli.Result result = Cli.run("chat", "--device", "cpu", "--model", Cli.TINY);
        assertEquals(1, result.exit());
        assertTrue(result.err().contains("tokenizer.json"), result::err);
    }

    @Test
    void helpIsAManual() {
        String help = Cli.run("--help").out();
        for (String word : List.of("--ids", "--stop", "Exit codes:", "130", "Examples:", "GRIFFIN_JAVA_OPTS", "generation_config.json",
                "Commands:", "completion")) {
            assertTrue(help.contains(word), word + " in " + help);
        }
        assertFalse(help.contains("\033"), "no colours in a pipe");
        for (String command : new HelpCommand.Commands()) {
            Cli.Result result = Cli.run(command, "--help");
            assertEquals(0, result.exit());
            assertTrue(result.out().startsWith("Usage: griffin-run " + command), result::out);
            assertEquals(result.out(), Cli.run("help", command).out());
        }
        List<String> listed = help.substring(help.indexOf("\nCommands:\n"), help.indexOf("\nExit codes:")).strip().lines().skip(1).toList();
        assertIterableEquals(
                Main.commandLine(new Terminal(null, null, null, false, false, false, Map.of(), null)).getSubcommands().keySet(),
                new HelpCommand.Commands());
        assertIterableEquals(new HelpCommand.Commands(), listed.stream().map(line -> line.strip().split(" ")[0]).toList(), help);
        listed.forEach(line -> assertTrue(line.matches("  [a-z]+ +\\S.* .*"), line));
        assertEquals(help, Cli.run("help").out());
        assertEquals(help, Cli.run("help", "--json").json().get("help"));
        assertFalse(Cli.run("chat", "--help").out().contains("--ignore-eos"), "a chat whose turns do not end is none");
        assertTrue(Cli.run("completion", "--help").out().lines().anyMatch("  source <(./griffin-run completion bash)"::equals));
        assertTrue(Cli.run("--version").out().startsWith("griffin-run "));
    }
}
