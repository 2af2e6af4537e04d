package griffin;

import griffin.weights.ModelFiles;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/**
 * A process of its own that writes states until it has written enough or is killed. A line on standard output tells what is finished:
 * {@code state NAME TOKENS} or {@code prefix SEED}; {@code failed REASON} tells what is not.
 */
final class WritingChild {

    private WritingChild() {}

    static Process start(String limit, String... arguments) throws IOException {
        List<String> java = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xshare:auto",
                "-XX:TieredStopAtLevel=1", "-Xmx256m", "-cp", System.getProperty("java.class.path"), WritingChild.class.getName()));
        java.addAll(Arrays.asList(arguments));
        List<String> command = new ArrayList<>(List.of("bash", "-c", limit + " exec \"$@\"", "bash"));
        command.addAll(java);
        return new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    }

    /** What a seed's prompt is. */
    static int[] ids(long seed) {
        return SamplePrefixes.ids(new Random(seed), 24);
    }

    public static void main(String[] arguments) throws Exception {
        Path folder = Path.of(arguments[1]);
        long seed = Long.parseLong(arguments[2]);
        int count = Integer.parseInt(arguments[3]);
        if (arguments[0].equals("states")) {
            states(folder, count);
        } else {
            prefixes(folder, seed, count, Long.parseLong(arguments[4]));
        }
    }

    /** States of growing length in files that are written again and again. */
    private static void states(Path folder, int count) {
        StateCompression[] compressions = StateCompression.values();
        try (Griffin griffin = Griffin.builder(ModelFiles.of(TestModels.TINY)).device("cpu").threads(1).open();
                Session session = griffin.newSession()) {
            for (int i = 0; i < count; i++) {
                session.generate(new int[] {i % 97}, GenerationOptions.DEFAULT.withMaxTokens(0), new GenerationListener() {});
                try {
                    session.save(folder.resolve("s" + i % 3 + ".state"), compressions[i % 3]);
                    System.out.println("state s" + i % 3 + " " + session.length());
                } catch (UncheckedIOException e) {
                    System.out.println("failed " + e.getMessage());
                }
            }
        }
    }

    private static void prefixes(Path folder, long first, int count, long diskBudget) throws InterruptedException {
        try (PrefixCache cache =
                PrefixCache.builder().identity(SamplePrefixes.IDENTITY).directory(folder).memory(3_000).diskBudget(diskBudget)
                        .build()) {
            for (long seed = first; seed < first + count; seed++) {
                int[] ids = ids(seed);
                cache.put(ids, ids.length, SamplePrefixes.snapshot(SamplePrefixes.IDENTITY, ids, ids.length),
                        SamplePrefixes.logits(ids, ids.length));
                cache.flush();
                CacheStatistics s = cache.statistics();
                System.out.println(s.lastFailure().isEmpty() ? "prefix " + seed : "failed " + s.unwritten() + " " + s.lastFailure());
            }
        }
    }
}
