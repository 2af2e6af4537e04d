package griffin.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code griffin-run PROMPT}. */
class RunCommandTest {

    private static final String ONCE = "Once upon a time";
    /** Greedy, as the model's own golden.json has it. */
    private static final String[] GREEDY = {"--temperature", "0", "--max-tokens", "12"};

    @TempDir
    Path folder;

    private static String[] with(String[] options, String... more) {
        List<String> all = new ArrayList<>(List.of(options));
        Collections.addAll(all, more);
        return all.toArray(String[]::new);
    }

    @Test
    void textAloneIsOnStandardOutput() {
        Cli.Result result = Cli.run(with(GREEDY, ONCE));
        assertEquals(0, result.exit(), result::err);
        assertTrue(result.out().startsWith(", there was a"), result::out);
        assertTrue(result.out().endsWith("\n") && !result.out().endsWith("\n\n"), result::out);
        assertEquals("", result.err(), "where there is a CPU alone, nothing was chosen");
        assertTrue(Cli.run(with(GREEDY, "--verbose", ONCE)).err().startsWith("griffin-run: device: cpu"));
    }

    @Test
    void jsonHasWhatTheTextHas() {
        String text = Cli.run(with(GREEDY, ONCE)).out();
        Cli.Result result = Cli.run(with(GREEDY, "--json", "--seed", "-7", "--logprobs", "2", ONCE));
        Map<?, ?> json = result.json();
        assertEquals(text, json.get("text") + "\n");
        assertEquals(2L, ((List<?>) json.get("prompt_ids")).getFirst(), "BOS is part of the prompt");
        assertEquals(12, ((List<?>) json.get("ids")).size());
        assertEquals("length", json.get("finish_reason"));
        assertEquals("cpu", json.get("device"));
        assertEquals("griffin-stories", json.get("model"));
        assertFalse(json.containsKey("seed"), "a greedy run draws no numbers");
        assertEquals(40L, json.get("top_k"), "from the model's generation_config.json");
        assertTrue((double) json.get("prompt_tokens_per_second") > 0 && (double) json.get("tokens_per_second") > 0);
        List<?> logprobs = (List<?>) json.get("logprobs");
        assertEquals(12, logprobs.size());
        Map<?, ?> first = (Map<?, ?>) logprobs.getFirst();
        Map<?, ?> likeliest = (Map<?, ?>) ((List<?>) first.get("top")).getFirst();
        assertEquals(2, ((List<?>) first.get("top")).size());
        assertEquals(likeliest.get("id"), first.get("id"), "greedy takes the likeliest");
        assertEquals(likeliest.get("logprob"), first.get("logprob"));
        assertTrue((double) first.get("logprob") < 0);
    }

    @Test
    void logprobsAndStatsGoToStandardError() {
        Cli.Result result = Cli.run(with(GREEDY, "--logprobs", "1", "--stats", "--seed", "99", ONCE));
        assertTrue(result.err().contains("among"), result::err);
        assertTrue(result.err().contains("read 5 tokens") && result.err().contains("generated 12")
                && result.err().contains("weights into memory"), result::err);
        assertFalse(result.err().contains("seed"), "a greedy run draws no numbers");
        assertTrue(Cli.run("--stats", "--seed", "99", "--max-tokens", "1", ONCE).err().contains("seed 99"));
        assertEquals(Cli.run(with(GREEDY, ONCE)).out(), result.out());
    }

    @Test
    void weightsAreReadInTheirFilesOrInACopy() {
        Cli.Result copy = Cli.run(with(GREEDY, "--device", "cpu", "--weights", "memory", "--stats", ONCE));
        assertTrue(copy.err().contains("weights copied into memory"), copy::err);
        boolean linux = System.getProperty("os.name").equals("Linux");
        assertEquals(linux, copy.err().matches("(?s).*copied into memory, \\d+ of 28 MiB in large pages.*"), copy::err);
        assertEquals(Cli.run(with(GREEDY, "--device", "cpu", ONCE)).out(), copy.out());
        Cli.Result wrong = Cli.run("--weights", "disk", ONCE);
        assertEquals(2, wrong.exit(), wrong::err);
        assertTrue(wrong.err().contains("--weights must be mapped or memory, not 'disk'"), wrong::err);
    }

    @Test
    void promptComesFromFileAndStandardInput() throws Exception {
        Path file = Files.writeString(folder.resolve("prompt.txt"), ONCE + "\n");
        String expected = Cli.run(with(GREEDY, ONCE)).out();
        assertEquals(expected, Cli.run(with(GREEDY, "--file", file.toString())).out());
        for (String[] dash : new String[][] {{}, {"-"}}) {
            Cli cli = new Cli();
            cli.input = ONCE + "\r\n";
            assertEquals(expected, cli.launch(with(GREEDY, dash)).out());
        }
        assertEquals(expected, Cli.run(with(GREEDY, "--", ONCE)).out());
    }

    /** Standard input and arguments are read as the same text, and what is written of it is the text again. */
    @Test
    void utf8GoesInAndOut() {
        String text = "Zoë 日本 🙂";
        Cli cli = new Cli();
        cli.input = text;
        assertEquals(Cli.run("--json", "--max-tokens", "1", text).list("prompt_ids"),
                cli.launch("--json", "--max-tokens", "1").list("prompt_ids"));
        cli.input = text + "\n";
        Map<?, ?> turn = (Map<?, ?>) cli.launch("chat", "--json", "--max-tokens", "1").list("turns").getFirst();
        assertEquals(text, turn.get("message"));
    }

    @Test
    void idsNeedNoTokenizer() throws Exception {
        Cli.Result result = Cli.run("--model", Cli.TINY, "--ids", "2,5,7", "--max-tokens", "6");
        assertEquals(0, result.exit(), result::err);
        assertTrue(result.out().matches("\\d+(,\\d+){5}\n"), result::out);
        Path file = Files.writeString(folder.resolve("ids"), " 2, 5\n7\t\n");
        Cli.Result json = Cli.run("--model", Cli.TINY, "--ids", "@" + file, "--max-tokens", "6", "--json");
        assertEquals(List.of(2L, 5L, 7L), json.list("prompt_ids"));
        assertEquals(result.out().strip(), json.list("ids").toString().replaceAll("[\\[\\] ]", ""));
        assertNull(json.json().get("text"));
    }

    @Test
    void sameSeedSameTextAndFreshSeedsDiffer() {
        Cli.Result first = Cli.run("--seed", "5", "--max-tokens", "8", "--json", ONCE);
        Cli.Result second = Cli.run("--seed", "5", "--max-tokens", "8", "--json", "--chunk", "2", "--threads", "1", ONCE);
        assertEquals(first.list("ids"), second.list("ids"));
        assertEquals(5L, first.json().get("seed"));
        Object fresh = Cli.run("--max-tokens", "0", "--json", ONCE).json().get("seed");
        assertNotEquals(fresh, Cli.run("--max-tokens", "0", "--json", ONCE).json().get("seed"));
    }

    @Test
    void stopStringEndsTheText() {
        Cli.Result result = Cli.run("--temperature", "0", "--json", "--stop", "there", "--stop", "never", ONCE);
        assertEquals(", ", result.json().get("text"));
        assertEquals("stop", result.json().get("finish_reason"));
    }

    @Test
    void endIdsEndUnlessIgnored() {
        Cli chat = new Cli();
        chat.input = "Hello\n";
        Map<?, ?> turn = (Map<?, ?>) chat.launch("chat", "--temperature", "0", "--json", "--max-tokens", "40").list("turns").getFirst();
        String ids = turn.get("prompt_ids").toString().replaceAll("[\\[\\] ]", "");
        Map<?, ?> ended = Cli.run("--temperature", "0", "--json", "--max-tokens", "40", "--ids", ids).json();
        assertEquals("end", ended.get("finish_reason"));
        List<?> said = (List<?>) ended.get("ids");
        Map<?, ?> more =
                Cli.run("--temperature", "0", "--json", "--ignore-eos", "--max-tokens", Integer.toString(said.size() + 3), "--ids", ids)
                        .json();
        assertEquals("length", more.get("finish_reason"));
        assertEquals(said, ((List<?>) more.get("ids")).subList(0, said.size()));
    }

    @Test
    void savedAndResumedEqualsUninterrupted() {
        String state = folder.resolve("a.state").toString();
        List<?> whole = Cli.run("--seed", "3", "--json", "--max-tokens", "24", "--ignore-eos", ONCE).list("ids");
        List<Object> parts = new ArrayList<>(Cli.run("--seed", "3", "--json", "--max-tokens", "0", "--save", state, ONCE).list("ids"));
        for (String count : List.of("1", "10", "13")) {
            Cli.Result part = Cli.run("--resume", state, "--save", state, "--seed", "3", "--json", "--max-tokens", count, "--ignore-eos");
            assertEquals(0, part.exit(), part::err);
            parts.addAll(part.list("ids"));
        }
        assertEquals(whole, parts);
        assertEquals(29L, Cli.run("--resume", state, "--max-tokens", "0", "--json").json().get("session_tokens"));
    }

    @Test
    void readingAloneWritesNothing() {
        assertEquals("", Cli.run("--max-tokens", "0", ONCE).out());
    }

    @Test
    void interruptKeepsTextAndSaves() {
        Path state = folder.resolve("b.state");
        Cli cli = new Cli();
        cli.beforeWrite = n -> {
            if (n == 5) {
                cli.interrupts.raise(Interrupts.Signal.INT);
            }
        };
        Cli.Result result = cli.launch("--temperature", "0", "--ignore-eos", "--max-tokens", "100000", "--save", state.toString(), ONCE);
        assertEquals(130, result.exit(), result::err);
        assertTrue(result.out().startsWith(", there was a") && result.out().endsWith("\n"), result::out);
        String rest = Cli.run("--temperature", "0", "--max-tokens", "6", "--resume", state.toString()).out();
        String whole = Cli.run("--temperature", "0", "--max-tokens", "30", ONCE).out();
        assertTrue(whole.startsWith(result.out().stripTrailing()), result::out);
        assertTrue(whole.contains(rest.strip()), rest);
    }

    @Test
    void aFailureSavesWhatWasRead() throws Exception {
        Path state = folder.resolve("c.state");
        Cli cli = new Cli();
        cli.failingWrite = 5;
        cli.failure = "No space left on device";
        Cli.Result result = cli.launch("--device", "cpu", "--temperature", "0", "--save", state.toString(), ONCE);
        assertEquals(1, result.exit(), result::err);
        assertTrue(result.err().contains("tokens so far to " + state) && result.err().contains("No space left"), result::err);
        String rest = Cli.run("--temperature", "0", "--max-tokens", "6", "--resume", state.toString()).out();
        String whole = Cli.run("--temperature", "0", "--max-tokens", "30", ONCE).out();
        assertTrue(whole.startsWith(result.out()) && whole.contains(rest.strip()), rest);

        byte[] before = Files.readAllBytes(state);
        Cli.Result refused = Cli.run("--device", "cpu", "--save", state.toString(), "--ids", "4096");
        assertEquals(2, refused.exit(), refused::err);
        assertArrayEquals(before, Files.readAllBytes(state), "a refused request overwrites nothing");
    }

    @Test
    void closedPipeEndsQuietlyAndFullDiskDoesNot() {
        Cli cli = new Cli();
        cli.failingWrite = 3;
        cli.failure = "Broken pipe";
        Cli.Result result = cli.launch("--device", "cpu", "--ignore-eos", "--max-tokens", "100000", ONCE);
        assertEquals(0, result.exit());
        assertEquals("", result.err());
        cli.failure = "No space left on device";
        result = cli.launch("--device", "cpu", ONCE);
        assertEquals(1, result.exit());
        assertEquals("griffin-run: standard output cannot be written: No space left on device\n", result.err());
    }

    @Test
    void longPromptIsWarnedOfAndRead() throws Exception {
        Path file = Files.writeString(folder.resolve("long"), "2" + ",5".repeat(8192));
        Cli cli = new Cli();
        cli.errTerminal = true;
        Cli.Result result = cli.launch("--device", "cpu", "--model", Cli.TINY, "--ids", "@" + file, "--max-tokens", "1");
        assertEquals(0, result.exit());
        assertTrue(result.err().contains("8193 tokens long") && result.err().contains("8192"), result::err);
        assertFalse(Cli.run("--model", Cli.TINY, "--ids", "2,5", "--max-tokens", "1").err().contains("tokens long"));
    }

    @Test
    void progressLineTellsRateAndTimeLeft() {
        Terminal nowhere = new Terminal(null, null, null, false, false, false, Map.of(), null);
        Progress progress = Progress.start(nowhere, "reading", "tokens");
        assertEquals("reading [####............] 256/1024 tokens, 128 tokens/s, 6 s left", progress.line(256, 1024, 2));
        assertEquals("reading [................] 0/1024 tokens, 3 s", progress.line(0, 1024, 3));
        assertEquals("loading, 3 s", Progress.start(nowhere, "loading", "MB").line(0, 0, 3));
    }
}
