package griffin;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.error.DeviceMemoryException;
import griffin.error.InvalidRequestException;
import griffin.sampling.SamplingParams;
import griffin.weights.ModelFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Weights in their files or in a copy, and what is said when memory is too small for them. */
class WeightPlaceTest {

    private static final GenerationOptions GREEDY = GenerationOptions.DEFAULT.withSampling(SamplingParams.GREEDY).withMaxTokens(12);

    @TempDir
    private Path root;
    private final List<String> notices = new ArrayList<>();

    private GriffinBuilder builder(long free) {
        return Griffin.builder(ModelFiles.of(TestModels.TINY)).device("cpu").threads(1).notices(notices::add)
                .freeMemory(() -> OptionalLong.of(free));
    }

    @Test
    void aCopyWritesTheSameText() {
        List<int[]> ids = new ArrayList<>();
        for (String place : WeightPlace.choices()) {
            List<Long> loaded = new ArrayList<>();
            List<Long> all = new ArrayList<>();
            GriffinBuilder builder = builder(Long.MAX_VALUE).weights(place).loading((bytes, of) -> {
                loaded.add(bytes);
                all.add(of);
            });
            assertEquals(place, builder.info().weightPlace().word());
            try (Griffin griffin = builder.open(); Session session = griffin.newSession()) {
                assertEquals(place, griffin.weightPlace().word());
                assertTrue(griffin.weightBytesInLargePages().orElse(0) <= griffin.weightBytes());
                ids.add(session.generate(new int[] {2, 3, 5}, GREEDY, new GenerationListener() {}).ids().stream().mapToInt(i -> i)
                        .toArray());
                assertEquals(List.of(griffin.weightBytes()), all.stream().distinct().toList());
                assertEquals(loaded.stream().sorted().toList(), loaded, "from nothing to all of it, once");
                assertEquals(griffin.weightBytes(), loaded.getLast());
            }
        }
        assertArrayEquals(ids.get(0), ids.get(1));
        assertEquals(List.of(), notices);
        for (String none : List.of("disk", "device", "MAPPED")) {
            String said = assertThrows(InvalidRequestException.class, () -> builder(0).weights(none)).getMessage();
            assertEquals("weights must be mapped or memory, not '" + none + "'", said);
        }
    }

    @Test
    void mappedWeightsThatDoNotFitAreReported() {
        GriffinBuilder builder = builder(1000);
        builder.info();
        builder.open().close();
        assertEquals(2, notices.size(), notices::toString);
        assertTrue(notices.getFirst().matches("the weights \\(0\\.\\d GB\\) do not fit into the memory that is free \\(0\\.0 GB\\): "
                + "each token reads from disk"), notices::getFirst);
        assertEquals("Optional[the weights (17.1 GB) do not fit into the memory that is free (7.9 GB): each token reads from disk]",
                WeightPlace.MAPPED.warn(17_100_000_000L, OptionalLong.of(7_900_000_000L)).toString());
        assertTrue(WeightPlace.MAPPED.warn(10, OptionalLong.of(10)).isEmpty());
        assertTrue(WeightPlace.MAPPED.warn(10, OptionalLong.empty()).isEmpty());
        assertTrue(WeightPlace.DEVICE.warn(10, OptionalLong.of(1)).isEmpty());
    }

    @Test
    void aCopyThatDoesNotFitIsRefused() {
        String said = assertThrows(DeviceMemoryException.class, () -> builder(1000).weights("memory").open()).getMessage();
        assertTrue(said.contains("cannot be copied into memory") && said.contains("0.0 GB are free") && said.contains("in their files"),
                said);
        assertEquals(List.of(), notices);
    }

    @Test
    void freeMemoryIsWhatLinuxTellsAndAContainerMayHave() throws IOException {
        assertEquals(OptionalLong.empty(), FreeMemory.read(root));
        Files.createDirectories(root.resolve("proc"));
        Files.writeString(root.resolve("proc/meminfo"),
                "MemTotal:       24684272 kB\nMemFree:          362496 kB\nMemAvailable:   22098988 kB\n");
        assertEquals(OptionalLong.of(22_098_988L << 10), FreeMemory.read(root));
        Files.createDirectories(root.resolve("sys/fs/cgroup/memory"));
        Files.writeString(root.resolve("sys/fs/cgroup/memory.max"), "max\n");
        assertEquals(OptionalLong.of(22_098_988L << 10), FreeMemory.read(root));
        Files.writeString(root.resolve("sys/fs/cgroup/memory/memory.limit_in_bytes"), "4294967296\n");
        assertEquals(OptionalLong.of(4L << 30), FreeMemory.read(root));
        Files.writeString(root.resolve("sys/fs/cgroup/memory.max"), "2147483648\n");
        assertEquals(OptionalLong.of(2L << 30), FreeMemory.read(root));
    }

    @Test
    void whatAContainerHasTakenIsNotFree() throws IOException {
        Files.createDirectories(root.resolve("proc/self"));
        Files.writeString(root.resolve("proc/meminfo"), "MemAvailable:   22098988 kB\n");
        Files.writeString(root.resolve("proc/self/cgroup"), "0::/user.slice/app\n");
        Path group = Files.createDirectories(root.resolve("sys/fs/cgroup/user.slice/app"));
        Files.writeString(group.resolve("memory.max"), "8000\n");
        Files.writeString(group.resolve("memory.current"), "6500\n");
        Files.writeString(group.resolve("memory.stat"), "anon 6000\ninactive_file 400\nactive_file 100\n");
        assertEquals(OptionalLong.of(8000 - (6500 - 400)), FreeMemory.read(root));
        Files.writeString(group.resolve("memory.current"), "9000\n");
        assertEquals(OptionalLong.of(0), FreeMemory.read(root));
        Files.writeString(root.resolve("proc/self/cgroup"), "5:cpu:/x\n4:memory:/old\n");
        Path old = Files.createDirectories(root.resolve("sys/fs/cgroup/memory/old"));
        Files.writeString(old.resolve("memory.limit_in_bytes"), "5000\n");
        Files.writeString(old.resolve("memory.usage_in_bytes"), "2000\n");
        Files.writeString(old.resolve("memory.stat"), "total_inactive_file 1500\n");
        assertEquals(OptionalLong.of(4500), FreeMemory.read(root));
    }
}
