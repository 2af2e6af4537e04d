package griffin.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The command state, and {@code --state} of the commands that generate. */
class StateCommandTest {

    private static final String ONCE = "Once upon a time";

    @TempDir
    Path folder;

    private Cli cli() {
        Cli cli = new Cli();
        cli.environment = Map.of("GRIFFIN_STATE_DIR", folder.resolve("states").toString());
        return cli;
    }

    private Cli.Result run(String... arguments) {
        return cli().launch(arguments);
    }

    private Cli.Result greedy(int tokens, String... more) {
        String[] start = {"--device", "cpu", "--temperature", "0", "--ignore-eos", "--max-tokens", Integer.toString(tokens)};
        String[] all = Arrays.copyOf(start, start.length + more.length);
        System.arraycopy(more, 0, all, start.length, more.length);
        Cli.Result result = run(all);
        assertEquals(0, result.exit(), result::err);
        return result;
    }

    private static String text(Cli.Result result) {
        return result.out().substring(0, result.out().length() - 1);
    }

    @ParameterizedTest
    @ValueSource(strings = {"none", "lossless"})
    void aTextGoesOnUnderItsName(String compression) {
        String whole = greedy(24, ONCE).out();
        String first = text(greedy(10, "--state", "lily", "--state-compression", compression, ONCE));
        String second = text(greedy(14, "--state", "lily", "--state-compression", compression, ""));
        assertEquals(whole, first + second + "\n");
        Map<?, ?> info = run("state", "info", "lily", "--json").json();
        assertEquals(5L + 24, info.get("tokens"));
        assertEquals(compression, info.get("compression"));
        assertTrue(Files.exists(folder.resolve("states").resolve("lily.state")));
    }

    @Test
    void aFileIsToldFromAName() {
        String file = folder.resolve("some.state").toString();
        greedy(3, "--state", file, ONCE);
        greedy(3, "--state", folder.resolve("plain").toString(), ONCE);
        assertTrue(Files.exists(folder.resolve("some.state")) && Files.exists(folder.resolve("plain")));
        assertEquals(8L, run("state", "info", file, "--json").json().get("tokens"));
        assertEquals(1, run("state", "info", "some").exit(), "a file is no name");
    }

    @Test
    void aChatGoesOnUnderItsName() {
        String[] chat = {"chat", "--device", "cpu", "--temperature", "0", "--max-tokens", "8", "--state", "talk"};
        Cli cli = cli();
        cli.input = "Hello\nTell me a story\n";
        String first = cli.launch(chat).out();
        cli.input = "Go on\n";
        String second = cli.launch(chat).out();
        cli.input = "Hello\nTell me a story\nGo on\n";
        assertEquals(cli.launch(Arrays.copyOf(chat, 7)).out(), first + second);
    }

    @Test
    void statesAreListedGivenOutTakenInAndRemoved() throws Exception {
        assertTrue(run("state", "ls").err().contains("there are no states in"));
        greedy(3, "--state", "one", ONCE);
        greedy(5, "--state", "two", "--state-compression", "q8", ONCE);
        Files.write(folder.resolve("states").resolve("bad.state"), new byte[300]);
        Cli.Result listed = run("state", "ls");
        List<String> lines = listed.out().lines().toList();
        assertEquals(4, lines.size(), listed::out);
        assertTrue(lines.get(1).startsWith("bad ") && lines.get(1).contains("is not a saved Griffin state"), listed::out);
        assertTrue(lines.get(2).matches("one +8 +0\\.\\d MiB +none 1\\.0x +[0-9a-f]{8} +20\\d\\d-\\S+ \\S+"), listed::out);
        assertTrue(lines.get(3).matches("two +10 .* q8 \\d\\.\\dx .*"), listed::out);
        Map<?, ?> json = run("state", "ls", "--json").json();
        assertEquals(List.of("bad", "one", "two"), ((List<?>) json.get("states")).stream().map(s -> ((Map<?, ?>) s).get("name")).toList());

        Path file = folder.resolve("out");
        assertEquals(0, run("state", "load", "one", file.toString()).exit());
        assertArrayEquals(Files.readAllBytes(folder.resolve("states").resolve("one.state")), Files.readAllBytes(file));
        assertEquals(2, run("state", "load", "one", file.toString()).exit(), "it is there already");
        assertEquals(0, run("state", "load", "two", file.toString(), "--force").exit());
        Cli lossless = cli();
        lossless.environment = Map.of("GRIFFIN_STATE_DIR", folder.resolve("states").toString(), "GRIFFIN_STATE_COMPRESSION", "lossless");
        assertEquals(0, lossless.launch("state", "save", "three", file.toString()).exit());
        assertArrayEquals(Files.readAllBytes(file), Files.readAllBytes(folder.resolve("states").resolve("three.state")), "as it is");
        assertEquals(2, run("state", "save", "three", file.toString()).exit());
        assertEquals(0, run("state", "save", "three", folder.resolve("states/one.state").toString(), "--force", "--state-compression",
                "lossless").exit());
        assertEquals("lossless", run("state", "info", "three", "--json").json().get("compression"));
        String words = run("state", "info", "three").out();
        assertTrue(words.contains("tokens       8") && words.contains("lossless, ratio 1.") && words.contains("vocabulary 4096"), words);

        Cli cli = cli();
        cli.bytes = Files.readAllBytes(file);
        assertEquals(0, cli.launch("state", "save", "four", "-").exit());
        assertEquals(10L, run("state", "info", "four", "--json").json().get("tokens"));
        assertTrue(run("state", "load", "four", "-").out().startsWith("GRIFSTAT"));

        assertEquals(1, run("state", "rm", "one", "none").exit(), "nothing is removed unless all can be");
        assertEquals(List.of("one", "two"), run("state", "rm", "one", "two", "--json").list("removed"));
        assertEquals(List.of("bad.state", "four.state", "three.state"),
                Arrays.stream(folder.resolve("states").toFile().list()).sorted().toList());
    }

    @Test
    void whatIsDamagedOrAnotherModelsStaysAsItIs() throws Exception {
        greedy(3, "--state", "one", ONCE);
        Path file = folder.resolve("states").resolve("one.state");
        byte[] bytes = Files.readAllBytes(file);
        bytes[bytes.length / 2] ^= 4;
        Files.write(file, bytes);
        Cli.Result result = run("--device", "cpu", "--max-tokens", "3", "--state", "one", ONCE);
        assertEquals(1, result.exit());
        assertTrue(result.err().contains("is damaged"), result::err);
        assertEquals(1, run("state", "info", "one").exit());
        assertEquals(1, run("state", "load", "one", folder.resolve("out").toString()).exit());
        assertEquals(1, run("state", "save", "copy", file.toString()).exit());
        assertFalse(Files.exists(folder.resolve("out")) || Files.exists(folder.resolve("states").resolve("copy.state")));
        assertArrayEquals(bytes, Files.readAllBytes(file));

        greedy(3, "--state", "two", ONCE);
        Cli.Result other = run("--device", "cpu", "--model", Cli.TINY, "--ids", "2,5", "--max-tokens", "3", "--state", "two");
        assertEquals(1, other.exit());
        assertTrue(other.err().contains("belongs to another model"), other::err);
    }

    @Test
    void namesDoNotLeaveTheFolder() throws Exception {
        greedy(3, "--state", folder.resolve("secret.state").toString(), ONCE);
        byte[] before = Files.readAllBytes(folder.resolve("secret.state"));
        for (String name : List.of("../secret", "..", ".", "", "/etc/passwd", "a/../../secret", "..\\secret", "a\0b", "con", "-x", "x.",
                "a".repeat(101), "é", "a b", "C:x")) {
            for (String[] command : new String[][] {{"state", "rm", "--", name}, {"state", "load", "--", name, "-"},
                {"state", "save", "--force", "--", name, folder.resolve("secret.state").toString()}}) {
                Cli.Result result = run(command);
                assertEquals(2, result.exit(), name + ": " + result.err());
                assertTrue(result.err().contains("cannot be the name of a state"), result::err);
            }
        }
        assertArrayEquals(before, Files.readAllBytes(folder.resolve("secret.state")));
        greedy(3, "--state", "other", ONCE);
        Files.createSymbolicLink(folder.resolve("states").resolve("link.state"), folder.resolve("secret.state"));
        assertTrue(run("state", "load", "link", "-").err().contains("symbolic link"));
        assertFalse(run("state", "ls").out().contains("link"));
    }

    @Test
    void wrongUseHasItsSentence() {
        for (String[] command : new String[][] {{"state"}, {"state", "list"}, {"state", "ls", "x"}, {"state", "info"},
            {"state", "info", "a", "b"}, {"state", "save", "a"}, {"state", "load", "a"}, {"state", "rm"},
            {"--state", "a", "--save", "b", ONCE}, {"--state", "a", "--resume", "b", ONCE}, {"chat", "--state", "a", "--resume", "b"},
            {"--state", "a", "--state-compression", "zip", ONCE}}) {
            Cli.Result result = run(command);
            assertEquals(2, result.exit(), String.join(" ", command) + result.err());
            assertEquals(1, result.err().lines().count(), result::err);
            assertEquals("", result.out());
        }
        assertEquals(1, run("state", "info", "never").exit());
        Cli cli = cli();
        cli.environment = Map.of("GRIFFIN_STATE_COMPRESSION", "zip");
        Cli.Result result = cli.launch("--max-tokens", "1", ONCE);
        assertTrue(result.exit() == 2 && result.err().contains("GRIFFIN_STATE_COMPRESSION must be none, lossless or q8"), result::err);
    }

    @Test
    void infoAndHelpTellWhereStatesAre() {
        Cli cli = cli();
        cli.environment = Map.of("XDG_STATE_HOME", "/somewhere", "GRIFFIN_STATE_COMPRESSION", "lossless");
        assertEquals("/somewhere/griffin", cli.launch("info", "--json").json().get("state_dir"));
        assertEquals("lossless", cli.launch("info", "--json").json().get("state_compression"));
        assertTrue(cli.launch("info").out().contains("named states in /somewhere/griffin, compression lossless"));
        assertEquals("/else", cli.launch("info", "--json", "--state-dir", "/else").json().get("state_dir"));
        String help = run("state", "--help").out();
        for (String word : List.of("state ls", "state info NAME|FILE", "state save NAME FILE", "state load NAME FILE", "state rm NAME",
                "--force", "GRIFFIN_STATE_DIR")) {
            assertTrue(help.contains(word), help);
        }
        String flat = help.replaceAll("\\s+", " ");
        for (String wrong : List.of("device", "GRIFFIN_STATE_COMPRESSION", "How states are written")) {
            assertFalse(flat.contains(wrong), help);
        }
        assertTrue(flat.contains("With save: how the state is stored") && flat.contains("Default: as it is in FILE"), help);
        assertTrue(run("--help").out().contains("--state=NAME|FILE") && run("chat", "--help").out().contains("--state=NAME|FILE"));
    }

    /** What ends a text early still writes its state. */
    @Test
    void anInterruptedTextIsWritten() {
        Cli cli = cli();
        cli.beforeWrite = n -> {
            if (n == 4) {
                cli.interrupts.raise(Interrupts.Signal.TERM);
            }
        };
        Cli.Result result = cli.launch("--device", "cpu", "--ignore-eos", "--max-tokens", "100000", "--state", "one", ONCE);
        assertEquals(143, result.exit(), result::err);
        assertTrue((long) run("state", "info", "one", "--json").json().get("tokens") >= 8);
    }
}
