package griffin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Every bad input has its sentence and its exit code, and nothing on standard output but the object that --json asks for. */
class ErrorsTest {

    @TempDir
    Path folder;

    private static Cli.Result assertFails(int exit, String message, String... arguments) {
        Cli.Result result = Cli.run(arguments);
        assertEquals(exit, result.exit(), result::err);
        String last = result.err().lines().toList().getLast();
        if (List.of(arguments).contains("--json")) {
            assertEquals(Map.of("error", last.substring("griffin-run: ".length())), result.json());
        } else {
            assertEquals("", result.out());
        }
        assertTrue(last.startsWith("griffin-run: ") && last.contains(message), result::err);
        assertFalse(result.err().contains("\tat "), "no stack trace unless asked for");
        assertFalse(result.err().contains("Exception"), "no name of a class");
        return result;
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "2 | did you mean --temperature | --temprature 1 x",
        "2 | did you mean --max-tokens  | --max-token 1 x",
        "2 | there is no option --zzzzz | --zzzzz x",
        "2 | comes after --             | -Hello",
        "2 | in quotes                  | Once upon",
        "2 | from one place             | x --ids 2",
        "2 | from one place             | x --file y",
        "2 | from one place             | --ids 2 --file y",
        "2 | --max-tokens must be a whole number, not 'many'      | x -n many",
        "2 | --max-tokens must be a whole number below 2 147      | x -n 99999999999",
        "2 | --temperature must be a number, not 'abc'            | x --temperature abc",
        "2 | --seed must be a whole number, not '1.5'             | x --seed 1.5",
        "2 | --json must be left without a value, not '1'         | x --json=1",
        "2 | --seed needs a value, S    | x --seed",
        "2 | --json is given twice      | x --json --json",
        "2 | --temperature must be 0      | --model /none --resume /none --file /none --temperature -1",
        "2 | --temperature must be 0      | chat --model /none --temperature -1",
        "2 | did you mean 'info'?       | inof",
        "2 | write: griffin-run -- chatt | --seed 1 chatt",
        "2 | did you mean 'devices'?    | devcies",
        "2 | there is no command 'x'    | help x",
        "2 | --max-tokens must be 0 or more | x --max-tokens -1",
        "2 | --temperature must be 0      | x --temperature -1",
        "2 | --temperature must be 0      | x --temperature NaN",
        "2 | --top-p must be above 0      | x --top-p 1.5",
        "2 | --top-k must be 0            | x --top-k -1",
        "2 | --min-p must be 0            | x --min-p 2",
        "2 | --repetition-penalty must be above 0 | x --repetition-penalty 0",
        "2 | --logprobs must be 0 to 20   | x --logprobs 21",
        "2 | --logprobs must be 0 to 20   | x --logprobs -1",
        "2 | --threads must be 0 to       | x --threads -1",
        "2 | --chunk must be 1 to         | x --chunk 0",
        "2 | --window must be 0 to        | x --window -1",
        "2 | --weights must be mapped or memory, not 'disk' | x --weights disk",
        "2 | --device: there is no device 'tpu', use auto            | x --device tpu",
        "2 | --device cuda: there is no NVIDIA driver | x --device cuda",
        "2 | --device cuda:1: there is no NVIDIA driver | x --device cuda:1 --compute f32",
        "2 | no device 'cuda:x'         | x --device cuda:x",
        "2 | --compute must be bf16 or f32 | x --compute f16",
        "2 | --device metal: the Metal backend is not built | x --device metal",
        "2 | --ids must hold token ids, integers separated | --ids 2,x",
        "2 | --ids @pom.xml must hold token ids | --ids @pom.xml",
        "2 | integers separated         | --ids 99999999999",
        "2 | holds none                 | --ids ,",
        "2 | --ids must hold ids of the model's vocabulary, 0 to 4095; found 4096 at index 1 | --ids 2,4096",
        "2 | --ids must hold ids          | --ids -1",
        "2 | --ids must hold ids          | logits --out x --ids 4096",
        "2 | no model 'recurrentgemma:7b': the short names are recurrentgemma:2b, | x --model recurrentgemma:7b",
        "1 | there is no folder no/such-model, and the model no/such-model is not | x --model no/such-model",
        "1 | fetch it with griffin-run pull google/recurrentgemma-9b-it | info --model RecurrentGemma:9B-it",
        "1 | src/main/config.json       | info --model src/main",
        "2 | is no name of a model      | pull recurrentgemma-2b",
        "2 | is no name of a model      | rm ../x",
        "2 | NAME                       | pull",
        "2 | --hub: 'ftp://x' is no address of a hub | pull a/b --hub ftp://x",
        "1 | the token file /none cannot be read | pull a/b --hub http://127.0.0.1:1 --token-file /none",
        "2 | --connections must be 1 to 64 | pull a/b --connections 0",
        "2 | --revision: '../x' is no revision | pull a/b --revision ../x",
        "1 | is not in                  | rm no/such-model",
        "2 | did you mean 'list'        | lisst",
        "2 | --out                      | logits --ids 2",
        "2 | --ids                      | logits --out x",
        "2 | there is no completion     | completion ksh",
        "2 | command info has no option --seed | --seed 1 info",
        "2 | after its name             | hello info",
        "1 | config.json                | --model / info",
        "2 | standard input is empty    | --seed 1",
        "1 | no such file               | --file /none/x",
        "1 | it is a folder             | --file /",
        "1 | no such file               | --ids @/none/x",
        "1 | /none                      | --model /none x",
        "1 | there is no state file     | --resume /none/x y",
        "1 | the folder                 | x --save /none/x",
        "1 | name a file                | x --save /",
        "1 | --save /none/x: the folder /none does not exist; make it, or name a file in another | x --save /none/x",
        "1 | --out /none/x: the folder /none does not exist; make it, or name a file in another | logits --ids 2 --out /none/x",
        "1 | pom.xml is no folder       | logits --ids 2 --out pom.xml/x",
        "1 | --out /: that is a folder; name a file | logits --ids 2 --out /"})
    void badInputs(int exit, String message, String arguments) {
        assertFails(exit, message, arguments.strip().split(" "));
    }

    /** Wherever the command fails: before it is parsed, in its own checks, or at work. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "2 | there is no option --zzzzz | --json --zzzzz",
        "2 | --temperature must be 0      | x --json --temperature -1",
        "2 | integers separated         | --json --ids 2,x",
        "1 | /none                      | --model /none --json x",
        "1 | there is no state file     | chat --json --resume /none/x",
        "1 | config.json                | --json --model / info",
        "2 | has no option --seed       | devices --json --seed 1",
        "2 | is no name of a model      | pull --json recurrentgemma-2b",
        "2 | 'x' left over              | list --json x",
        "1 | is not in                  | rm no/such-model --json",
        "2 | --port must be             | serve --json --port 70000",
        "1 | the folder /none           | logits --json --ids 2 --out /none/x",
        "1 | there is no state never-kept | state info never-kept --json",
        "2 | there is no completion     | completion ksh --json",
        "2 | there is no command 'x'    | help x --json"})
    void jsonTellsWhy(int exit, String message, String arguments) {
        assertFails(exit, message, arguments.strip().split(" "));
    }

    /** What only looks like the option asks for no object, and what went out already stays the only one. */
    @Test
    void jsonIsAskedForByTheOptionAlone() {
        for (String[] arguments : new String[][] {{"--model", "/none", "--", "--json"}, {"--model", "/none", "--json=false", "x"}}) {
            Cli.Result result = Cli.run(arguments);
            assertEquals(1, result.exit(), result::err);
            assertEquals("", result.out());
        }
        Cli cli = new Cli();
        cli.failingWrite = 1;
        cli.failure = "No space left on device";
        Cli.Result full = cli.launch("x", "--json", "--device", "cpu", "--max-tokens", "1");
        assertEquals(1, full.exit(), full::err);
        assertEquals("griffin-run: standard output cannot be written: No space left on device\n", full.err());
        full = cli.launch("x", "--json", "--model", "/none");
        assertEquals(1, full.exit(), full::err);
        assertTrue(full.err().contains("/none") && full.err().endsWith("cannot be written: No space left on device\n"), full::err);
    }

    /** The byte that is wrong is counted from the beginning, also past what was read before. */
    @Test
    void promptsMustBeUtf8() throws Exception {
        byte[] latin = "Zo\u00eb\n".getBytes(StandardCharsets.ISO_8859_1);
        Path file = Files.write(folder.resolve("latin.txt"), latin);
        assertFails(2, "latin.txt must be UTF-8 text; found byte 0xEB at offset 2", "--file", file.toString());
        assertFails(2, "latin.txt must be UTF-8 text", "--ids", "@" + file);
        Path half = Files.write(folder.resolve("half.txt"), Arrays.copyOf("Zo\u00eb".getBytes(StandardCharsets.UTF_8), 3));
        assertFails(2, "byte 0xC3 at offset 2", "--file", half.toString());
        Cli cli = new Cli();
        cli.bytes = latin;
        Cli.Result result = cli.launch();
        assertEquals(2, result.exit());
        assertTrue(result.err().contains("standard input must be UTF-8 text; found byte 0xEB at offset 2"), result::err);
        cli.bytes = "/none\nZo\u00eb\n/stats\n".getBytes(StandardCharsets.ISO_8859_1);
        result = cli.launch("chat");
        assertEquals(2, result.exit(), result::err);
        assertTrue(result.err().contains("byte 0xEB at offset 8"), result::err);
        cli.inTerminal = true;
        result = cli.launch("chat");
        assertEquals(0, result.exit(), "a person may try again");
        assertTrue(result.err().contains("byte 0xEB at offset 8") && result.err().contains("the chat has"), result::err);
    }

    @Test
    void emptyPromptIsNone() throws Exception {
        assertFails(2, "there is no prompt: it is empty", "");
        Path file = Files.writeString(folder.resolve("empty.txt"), "\n");
        assertFails(2, "empty.txt is empty", "--file", file.toString());
        String state = folder.resolve("a.state").toString();
        assertEquals(0, Cli.run("--max-tokens", "0", "--save", state, "Once").exit());
        assertEquals(0, Cli.run("--max-tokens", "1", "--resume", state, "").exit());
    }

    @Test
    void textNeedsATokenizer() {
        assertFails(1, "give token ids instead of text", "--model", Cli.TINY, "Hello");
        assertFails(2, "--stop needs", "--model", Cli.TINY, "--ids", "2", "--stop", "x");
        assertFails(2, "--stop must not be empty", "--stop", "", "x");
    }

    @Test
    void damagedFilesAreNamed() throws Exception {
        Path model = Files.createDirectory(folder.resolve("model"));
        assertFails(1, "config.json", "info", "--model", model.toString());
        Files.writeString(model.resolve("config.json"), "{");
        assertFails(1, "config.json", "info", "--model", model.toString());
        Path state = Files.writeString(folder.resolve("bad.state"), "not a state");
        assertFails(1, "bad.state", "--resume", state.toString(), "x");
        String other = folder.resolve("other.state").toString();
        assertEquals(0, Cli.run("--model", Cli.TINY, "--ids", "2,5", "--max-tokens", "0", "--save", other).exit());
        assertFails(1, "other.state", "--resume", other, "x");
    }

    /** Weights with NaN give logits with NaN: an error of every way to sample, and --check names the tensor. */
    @Test
    void nanInWeightsIsExplained() throws Exception {
        String model = folder.toString();
        for (String name : new String[] {"config.json", "model.safetensors"}) {
            Files.copy(Path.of(Cli.TINY, name), folder.resolve(name));
        }
        Path file = folder.resolve("model.safetensors");
        byte[] bytes = Files.readAllBytes(file);
        int header = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getInt();
        Matcher tensor = Pattern.compile("\"model.final_norm.weight\":[^}]*\"data_offsets\":\\s*\\[(\\d+)")
                .matcher(new String(bytes, 8, header, StandardCharsets.UTF_8));
        assertTrue(tensor.find());
        int at = 8 + header + Integer.parseInt(tensor.group(1));
        Arrays.fill(bytes, at, at + 4, (byte) 0xFF);
        Files.write(file, bytes);
        for (String temperature : new String[] {"0", "1"}) {
            assertFails(1, "logits after token 2 of the session are not finite", "--model", model, "--ids", "2,5", "--temperature",
                    temperature);
        }
        assertFails(1, "info --check", "--model", model, "--ids", "2,5", "--top-k", "3", "--temperature", "1", "--device", "reference");
        assertFails(1, "model.final_norm.weight", "info", "--check", "--model", model);
    }

    @Test
    void noPromptAtATerminalIsExplained() {
        Cli cli = new Cli();
        cli.inTerminal = true;
        Cli.Result result = cli.launch();
        assertEquals(2, result.exit());
        assertTrue(result.err().contains("griffin-run --help"), result::err);
    }

    @Test
    void verboseShowsWhere() {
        Cli.Result result = Cli.run("--model", "/none", "--verbose", "x");
        assertEquals(1, result.exit());
        assertTrue(result.err().startsWith("griffin-run: ") && result.err().contains("\tat griffin."), result::err);
    }

    @Test
    void everyThrowableIsASentence() {
        Cli cli = new Cli();
        cli.beforeWrite = n -> {
            throw new OutOfMemoryError("Java heap space");
        };
        Cli.Result memory = cli.launch("--device", "cpu", "x");
        assertEquals(1, memory.exit());
        assertTrue(memory.err().contains("-Xmx") && memory.err().lines().count() == 1, memory::err);
        cli.beforeWrite = n -> {
            throw new IllegalStateException("a bug");
        };
        Cli.Result bug = cli.launch("--device", "cpu", "x");
        assertEquals(1, bug.exit());
        assertTrue(bug.err().contains("a bug") && bug.err().contains("--verbose") && bug.err().lines().count() == 1, bug::err);
    }
}
