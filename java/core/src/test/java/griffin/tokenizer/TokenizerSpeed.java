package griffin.tokenizer;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** Prints how long reading a tokenizer takes in a fresh JVM, and the speed of encoding: {@code TokenizerSpeed TOKENIZER.json TEXT}. */
final class TokenizerSpeed {

    private static final int ROUNDS = 8;

    private TokenizerSpeed() {}

    public static void main(String[] args) throws IOException {
        long start = System.nanoTime();
        Tokenizer tokenizer;
        try (InputStream in = Files.newInputStream(Path.of(args[0]))) {
            tokenizer = Tokenizer.read(in, args[0]);
        }
        System.out.printf("read cold: %.0f ms, %d tokens%n", (System.nanoTime() - start) / 1e6, tokenizer.vocabularySize());
        report("the text", tokenizer, Files.readString(Path.of(args[1])));
        report("one letter", tokenizer, "a".repeat(1 << 20));
        report("spaces", tokenizer, " ".repeat(1 << 20));
    }

    private static void report(String name, Tokenizer tokenizer, String text) {
        int length = text.getBytes(StandardCharsets.UTF_8).length;
        double best = 0;
        for (int round = 0; round < ROUNDS; round++) {
            long start = System.nanoTime();
            tokenizer.encode(text);
            double rate = length * 1e3 / (System.nanoTime() - start);
            if (round == 0) {
                System.out.printf("%s, %d bytes: first %.1f MB/s", name, length, rate);
            }
            best = Math.max(best, rate);
        }
        System.out.printf(", best of %d %.1f MB/s%n", ROUNDS, best);
    }
}
