package griffin;

import static org.junit.jupiter.api.Assertions.assertEquals;

import griffin.error.InvalidRequestException;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A folder of states that several processes write to at once. */
class StateFolderProcessTest {

    private static final int PROCESSES = 3;
    private static final int NAMES = 40;

    @TempDir
    private Path folder;

    /** Adds states of one length under all names once the file `go` is there; says which it could add. */
    static final class Adder {

        private Adder() {}

        /** @param arguments folder of states, file to wait for, tokens of its states */
        public static void main(String[] arguments) throws Exception {
            StateFolder states = new StateFolder(Path.of(arguments[0]));
            int tokens = Integer.parseInt(arguments[2]);
            byte[] snapshot = SamplePrefixes.snapshot(SamplePrefixes.IDENTITY, new int[tokens], tokens);
            System.out.println("ready");
            for (long start = System.nanoTime(); !Files.exists(Path.of(arguments[1])); Thread.onSpinWait()) {
                if (System.nanoTime() - start > 60_000_000_000L) {
                    throw new IllegalStateException("nobody says go");
                }
            }
            for (int i = 0; i < NAMES; i++) {
                try {
                    states.add("name-" + i, snapshot, "a test", false);
                    System.out.println(i);
                } catch (InvalidRequestException taken) {
                    // another process was first
                }
            }
        }
    }

    @Test
    @Timeout(120)
    void ofSeveralProcessesThatAddANameOneSucceeds() throws Exception {
        Path states = folder.resolve("states");
        Path go = folder.resolve("go");
        List<Process> adders = new ArrayList<>();
        try {
            for (int i = 1; i <= PROCESSES; i++) {
                adders.add(new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-cp",
                        System.getProperty("java.class.path"), Adder.class.getName(), states.toString(), go.toString(), Integer.toString(i))
                        .redirectError(new File(folder.toFile(), "err" + i)).start());
            }
            for (Process adder : adders) {
                assertEquals("ready", adder.inputReader().readLine());
            }
            Files.createFile(go);
            int[] owner = new int[NAMES];
            for (int i = 0; i < PROCESSES; i++) {
                for (String name : adders.get(i).inputReader().readAllLines()) {
                    assertEquals(0, owner[Integer.parseInt(name)], "name " + name + " was added before");
                    owner[Integer.parseInt(name)] = i + 1;
                }
                assertEquals(0, adders.get(i).waitFor(), Files.readString(folder.resolve("err" + (i + 1))));
            }
            for (int i = 0; i < NAMES; i++) {
                assertEquals(owner[i], new StateFolder(states).info("name-" + i).tokens(), "name " + i + " is what its process added");
            }
        } finally {
            adders.forEach(Process::destroyForcibly);
        }
        try (Stream<Path> files = Files.list(states)) {
            assertEquals(NAMES, files.count(), "nothing else is left");
        }
    }
}
