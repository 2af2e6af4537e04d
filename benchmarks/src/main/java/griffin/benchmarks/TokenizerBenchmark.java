package griffin.benchmarks;

import griffin.tokenizer.Tokenizer;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/** Text to ids and back. An operation is a million bytes of text, so operations per second are MB/s. */
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
@State(Scope.Benchmark)
public class TokenizerBenchmark {

    private static final int BYTES = 1_000_000;

    /** A tokenizer.json; Gemma's own by {@code -p tokenizer=FILE}. */
    @Param(Soak.STORIES + "/tokenizer.json")
    public String tokenizer;

    /** Text that is repeated up to a million bytes of ASCII: the embedded model's card, or {@code -p text=FILE}. */
    @Param(Soak.STORIES + "/README.md")
    public String text;

    private Tokenizer read;
    private String million;
    private int[] ids;

    /** Reads both files. */
    @Setup(Level.Trial)
    public void setUp() throws IOException {
        try (InputStream in = Files.newInputStream(Path.of(tokenizer))) {
            read = Tokenizer.read(in, tokenizer);
        }
        String once = Files.readString(Path.of(text)).replaceAll("[^\\x00-\\x7F]", "");
        million = once.repeat(BYTES / once.length() + 1).substring(0, BYTES);
        ids = read.encode(million);
        if (!read.decode(ids).equals(million) || million.getBytes(StandardCharsets.UTF_8).length != BYTES) {
            throw new IllegalStateException(text + " does not come back from " + tokenizer);
        }
    }

    /** Text to ids. */
    @Benchmark
    public int[] encode() {
        return read.encode(million);
    }

    /** Ids to text, all at once. */
    @Benchmark
    public String decode() {
        return read.decode(ids);
    }
}
