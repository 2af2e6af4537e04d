package griffin.weights;

import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import griffin.backend.DType;
import griffin.error.ModelFormatException;
import griffin.model.GenerationConfig;
import griffin.model.GriffinConfig;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Damaged files end in a ModelFormatException, or are read; nothing else happens, and nothing large is allocated on the way. */
class ModelFuzzTest {

    private static final long SEED = 20260301;
    private static final long MOST_BYTES = 32 << 20;
    private static final List<String> TOKENS =
            List.of("\"", "{", "}", "[", "]", ",", ":", "-1", "0", "1e999", "9223372036854775807", "null", "true",
                    "\"../x\"", "4294967296", "\\u0000", "\ud83d\ude00", "\"F64\"", "\"BF16\"", "[[[[[[[[", "1.5");

    private static final Pattern VALUE = Pattern.compile("\"[^\"]*\"|-?\\b[0-9]+(\\.[0-9]+)?");
    private static final List<String> HOSTILE =
            List.of("-1", "0", "1", "2", "9223372036854775807", "4294967296", "1048576", "1.5", "1e999", "null",
                    "true", "[]", "{}", "\"\"", "\"../x\"", "\"F32\"", "\"F64\"", "[[1]]");

    @TempDir
    private static Path temp;
    private static String config;

    @BeforeAll
    static void writeModels() throws IOException {
        System.out.println("fuzz seed " + SEED);
        config = Files.readString(Path.of("src/test/resources/golden/tiny-c/config.json"));
        String tiny = config.replace("\"num_hidden_layers\": 7", "\"num_hidden_layers\": 3");
        RandomModel.write(temp.resolve("sharded"), tiny, 1, DType.BF16, 60_000);
        RandomModel.write(temp.resolve("single"), tiny, 1, DType.BF16);
    }

    @Test
    void safetensorsInMemory() throws IOException {
        byte[] whole = Files.readAllBytes(temp.resolve("single/model.safetensors"));
        fuzz("safetensors", 3000, whole, header(whole), bytes -> openAll(new MemoryFiles().put("model.safetensors", bytes)));
    }

    @Test
    void safetensorsMapped() throws IOException {
        byte[] whole = Files.readAllBytes(temp.resolve("single/model.safetensors"));
        Path directory = Files.createDirectory(temp.resolve("mapped"));
        fuzz("mapped safetensors", 500, whole, header(whole), bytes -> {
            try {
                Files.deleteIfExists(directory.resolve("model.safetensors"));
                Files.write(directory.resolve("model.safetensors"), bytes);
            } catch (IOException e) {
                throw new AssertionError(e);
            }
            openAll(ModelFiles.of(directory));
        });
    }

    @Test
    void index() throws IOException {
        MemoryFiles files = new MemoryFiles();
        for (String name : ModelFiles.of(temp.resolve("sharded")).names()) {
            files.put(name, Files.readAllBytes(temp.resolve("sharded").resolve(name)));
        }
        byte[] whole = Files.readAllBytes(temp.resolve("sharded/model.safetensors.index.json"));
        fuzz("index", 2000, whole, whole.length, bytes -> openAll(files.put("model.safetensors.index.json", bytes)));
    }

    @Test
    void configs() throws IOException {
        byte[] whole = config.getBytes(StandardCharsets.UTF_8);
        fuzz("config", 3000, whole, whole.length, bytes -> {
            GriffinConfig read = GriffinConfig.read(new MemoryFiles().put("config.json", bytes));
            assertTrue(read.parameters() > 0 && read.stateBytes(DType.F32) > 0 && read.blockKinds().size() == read.layers());
        });
        byte[] generation =
                "{\"do_sample\":true,\"eos_token_id\":[1,107],\"temperature\":0.8,\"top_k\":40,\"max_new_tokens\":400}".getBytes();
        fuzz("generation config", 1000, generation, generation.length,
                bytes -> GenerationConfig.read(new MemoryFiles().put("generation_config.json", bytes)));
    }

    @Test
    void jars() throws IOException {
        byte[] whole = ModelFilesTest.zip(true, "m/config.json", config, "m/other", "x");
        Path jar = temp.resolve("m.jar");
        fuzz("jar", 1000, whole, whole.length, bytes -> {
            try {
                Files.deleteIfExists(jar);
                Files.write(jar, bytes);
            } catch (IOException e) {
                throw new AssertionError(e);
            }
            ModelFiles files = JarFiles.of(jar, "m");
            files.names();
            GriffinConfig.read(files);
        });
    }

    private static int header(byte[] safetensors) {
        return 8 + (int) ByteBuffer.wrap(safetensors).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
    }

    /** Touches what was accepted, to its last byte. */
    private static void openAll(ModelFiles files) {
        try (Arena arena = Arena.ofConfined()) {
            WeightFiles weights = WeightFiles.open(files, arena);
            for (String name : weights.names()) {
                Tensor tensor = weights.find(name).orElseThrow();
                if (tensor.elements() > 0 && tensor.dtype() != DType.I32) {
                    tensor.get(tensor.elements() - 1);
                }
            }
            weights.check();
        }
    }

    private static void fuzz(String what, int rounds, byte[] whole, int head, Consumer<byte[]> reader) {
        SplittableRandom random = new SplittableRandom(SEED);
        int[] refused = new int[1];
        boolean structured = whole[0] == '{' || what.endsWith("safetensors");
        assertTimeoutPreemptively(Duration.ofSeconds(120), () -> {
            reader.accept(whole);
            for (int round = 0; round < rounds; round++) {
                byte[] damaged = structured && random.nextBoolean() ? exchange(whole, head, random) : damage(whole, head, random);
                refused[0] += refused(what + " round " + round, damaged, reader) ? 1 : 0;
            }
        }, what);
        System.out.println(what + ": " + rounds + " mutations, " + refused[0] + " refused");
        assertTrue(refused[0] > rounds / 4, "most damage must be noticed: " + refused[0] + " of " + rounds);
    }

    private static boolean refused(String round, byte[] damaged, Consumer<byte[]> reader) {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long before = threads.getCurrentThreadAllocatedBytes();
        boolean refused = false;
        try {
            reader.accept(damaged);
        } catch (ModelFormatException e) {
            refused = true;
            assertTrue(e.getMessage().length() < 4000, round + ": " + e.getMessage());
        } catch (RuntimeException | Error e) {
            throw new AssertionError(round + ": expected ModelFormatException, found " + e, e);
        }
        long allocated = threads.getCurrentThreadAllocatedBytes() - before;
        assertTrue(allocated < MOST_BYTES, round + " allocated " + allocated + " bytes");
        return refused;
    }

    /** One to four changes, most of them in the first {@code head} bytes, where the structure is. */
    private static byte[] damage(byte[] whole, int head, SplittableRandom random) {
        byte[] bytes = whole.clone();
        for (int changes = 1 + random.nextInt(4); changes > 0 && bytes.length > 1; changes--) {
            int at = random.nextInt(random.nextInt(8) == 0 ? bytes.length : Math.min(head, bytes.length));
            switch (random.nextInt(8)) {
                case 0 -> bytes[at] = (byte) random.nextInt(256);
                case 1 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
                case 2 -> bytes[at] = (byte) ('0' + random.nextInt(10));
                case 3 -> bytes = Arrays.copyOf(bytes, at);
                case 4 -> bytes = splice(bytes, at, Math.min(bytes.length, at + 1 + random.nextInt(40)), new byte[0]);
                case 5 -> bytes = splice(bytes, at, at, Arrays.copyOfRange(bytes, at, at + random.nextInt(bytes.length - at)));
                case 6 -> bytes = splice(bytes, at, at, token(random));
                default -> bytes = splice(bytes, at, Math.min(bytes.length, at + 1 + random.nextInt(6)), token(random));
            }
        }
        if (random.nextInt(4) == 0 && bytes.length >= 8) {
            bytes[random.nextInt(8)] = (byte) random.nextInt(256);
        }
        return bytes;
    }

    /** Keeps the JSON well formed: a string or number takes the place of another, so that damage reaches what lies behind the parser. */
    private static byte[] exchange(byte[] whole, int head, SplittableRandom random) {
        int lengthBytes = whole[0] == '{' ? 0 : 8;
        String text = new String(whole, lengthBytes, head - lengthBytes, StandardCharsets.ISO_8859_1);
        for (int changes = 1 + random.nextInt(3); changes > 0; changes--) {
            List<MatchResult> values = VALUE.matcher(text).results().toList();
            MatchResult from = values.get(random.nextInt(values.size()));
            MatchResult to = values.get(random.nextInt(values.size()));
            String hostile = HOSTILE.get(random.nextInt(HOSTILE.size()));
            text = text.substring(0, to.start()) + (random.nextBoolean() ? from.group() : hostile) + text.substring(to.end());
        }
        byte[] bytes = splice(whole, lengthBytes, head, text.getBytes(StandardCharsets.ISO_8859_1));
        if (lengthBytes > 0) {
            ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putLong(0, text.length());
        }
        return bytes;
    }

    private static byte[] token(SplittableRandom random) {
        return TOKENS.get(random.nextInt(TOKENS.size())).getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] splice(byte[] bytes, int from, int to, byte[] middle) {
        byte[] spliced = Arrays.copyOf(bytes, from + middle.length + bytes.length - to);
        System.arraycopy(middle, 0, spliced, from, middle.length);
        System.arraycopy(bytes, to, spliced, from + middle.length, bytes.length - to);
        return spliced;
    }
}
