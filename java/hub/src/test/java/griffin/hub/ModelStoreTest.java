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
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** Listing, removing and locking. */
class ModelStoreTest extends HubTestCase {

    @Test
    void theFolderIsTheOneOfTheVariable() {
        assertEquals(folder.resolve("a"), ModelStore.ofDefault(Map.of("GRIFFIN_MODELS", folder.resolve("x/../a").toString())).folder());
        assertEquals(Path.of(System.getProperty("user.home"), ".cache", "griffin", "models"), ModelStore.ofDefault(Map.of()).folder());
        assertThrows(InvalidRequestException.class, () -> ModelStore.ofDefault(Map.of("GRIFFIN_MODELS", "a\0b")));
        assertEquals(List.of(), ModelStore.of(folder.resolve("none")).list());
    }

    @Test
    void onlyWholeModelsAreFound() throws IOException {
        Path found = pull();
        for (String other : List.of("tiny/.hidden/current", "tiny/a file", ".locks/x", "no model/here/current", "a/b/current")) {
            Path file = store.folder().resolve(other);
            Files.createDirectories(file.getParent());
            Files.writeString(file, "0".repeat(40));
        }
        assertEquals(List.of(NAME), store.list().stream().map(Installed::name).toList());
        Path weights = found.resolve(WEIGHTS);
        byte[] content = Files.readAllBytes(weights);
        Files.write(weights, new byte[10]);
        assertEquals(Optional.empty(), store.find(NAME));
        Files.write(weights, content);
        assertEquals(Optional.of(found), store.find(NAME));
        byte[] manifest = Files.readAllBytes(found.resolve(Manifest.FILE));
        for (String damaged : List.of("", "{", "{}", "[]", new String(manifest).replace(WEIGHTS, "../x"))) {
            Files.writeString(found.resolve(Manifest.FILE), damaged);
            assertEquals(Optional.empty(), store.find(NAME), damaged);
        }
        Files.delete(found.resolve(Manifest.FILE));
        assertEquals(List.of(), store.list());
        for (String current : List.of("", "../..", "x".repeat(1000), "0".repeat(40))) {
            Files.writeString(store.folder().resolve("tiny/random/current"), current);
            assertEquals(Optional.empty(), store.find(NAME), current);
        }
        assertWhole(pull());
    }

    /** A process that is killed between the two steps that put a model in place leaves one that the next pull takes as it is. */
    @Test
    void aModelThatIsOnlyNotInUseIsNotFetchedAgain() throws IOException {
        Path found = pull();
        Files.delete(store.folder().resolve("tiny/random/current"));
        assertEquals(Optional.empty(), store.find(NAME));
        hub.forgetRequests();
        assertEquals(found, pull());
        assertEquals(1, hub.requests().size());
        assertWhole(found);
    }

    @Test
    void removingLeavesNothing() throws IOException {
        pull();
        store.remove(NAME);
        assertEquals(List.of(), store.list());
        assertFalse(Files.exists(store.folder().resolve("tiny")));
        assertContains(assertThrows(HubException.class, () -> store.remove(NAME)).getMessage(), "tiny/random is not in "
                + store.folder());
    }

    /** What a link leads to is nobody's to delete. */
    @Test
    void removingFollowsNoLinks() throws IOException {
        Path found = pull();
        Path outside = Files.createDirectories(folder.resolve("outside"));
        Files.writeString(outside.resolve("precious"), "x");
        Files.createSymbolicLink(found.resolve("link"), outside);
        store.remove(NAME);
        assertEquals("x", Files.readString(outside.resolve("precious")));
    }

    @Test
    void onePullAtATime() throws Exception {
        CountDownLatch begun = new CountDownLatch(1);
        CountDownLatch over = new CountDownLatch(1);
        hub.storageFault = exchange -> {
            begun.countDown();
            try {
                over.await();
            } catch (InterruptedException e) {
                throw new IOException(e);
            }
            return false;
        };
        CompletableFuture<Path> first = CompletableFuture.supplyAsync(this::pull);
        assertTrue(begun.await(30, TimeUnit.SECONDS));
        String process = "by process " + ProcessHandle.current().pid();
        assertContains(assertThrows(HubException.class, this::pull).getMessage(), "tiny/random is being pulled or removed", process,
                "wait");
        assertContains(assertThrows(HubException.class, () -> store.remove(NAME)).getMessage(), process);
        over.countDown();
        assertWhole(first.get(30, TimeUnit.SECONDS));
        store.remove(NAME);
    }

    /** The lock of another process counts as well, until it ends, however it ends. */
    @Test
    void anotherProcessHoldsTheLock() throws Exception {
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
        Process process = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-cp",
                System.getProperty("java.class.path"), PullProcess.class.getName(), hub.address().toString(), store.folder().toString(),
                "2")
                .redirectErrorStream(true).redirectOutput(folder.resolve("out").toFile()).start();
        try {
            assertTrue(begun.await(60, TimeUnit.SECONDS), () -> "it must begin");
            assertContains(assertThrows(HubException.class, this::pull).getMessage(), "by process " + process.pid());
            assertContains(assertThrows(HubException.class, () -> store.remove(NAME)).getMessage(), "by process " + process.pid());
        } finally {
            process.destroyForcibly().waitFor();
            over.countDown();
        }
        hub.storageFault = exchange -> false;
        assertWhole(pull());
    }

    @Test
    void aStoreThatCannotBeWrittenIsSaid() throws IOException {
        Path file = Files.writeString(folder.resolve("file"), "x");
        HubException e = assertThrows(HubException.class, () -> ModelStore.of(file).pull(NAME, settings(), heard, LIMITS));
        assertContains(e.getMessage(), file.toString(), "cannot be taken");
    }
}
