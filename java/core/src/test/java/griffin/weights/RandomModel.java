package griffin.weights;

import griffin.backend.DType;
import griffin.model.BlockKind;
import griffin.model.GriffinConfig;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.IntStream;

/**
 * Writes a complete model directory of random weights that behave like trained ones as far as arithmetic goes: activations stay finite,
 * gates and norms are alive, decays cover 0.9 to 0.999. Same seed, same bytes, whatever the number of threads.
 */
public final class RandomModel {

    private static final long SHARD_BYTES = 2_000_000_000L;
    private static final int CHUNK_ELEMENTS = 1 << 18;
    private static final int CHUNKS_AT_ONCE = 16;

    /** A tensor to write: each element is {@code value} of a standard normal number. */
    record Spec(String name, DoubleUnaryOperator value, long... shape) {
        long elements() {
            long elements = 1;
            for (long axis : shape) {
                elements *= axis;
            }
            return elements;
        }
    }

    private final Path directory;
    private final DType dtype;
    private final long seed;

    private RandomModel(Path directory, DType dtype, long seed) {
        this.directory = directory;
        this.dtype = dtype;
        this.seed = seed;
    }

    /** Arguments: {@code --config FILE|2b|9b --out DIR [--seed N] [--dtype bf16|f16|f32]}. */
    public static void main(String[] args) throws IOException {
        String config = null;
        String out = null;
        long seed = 1;
        DType dtype = DType.BF16;
        for (int i = 0; i + 1 < args.length; i += 2) {
            switch (args[i]) {
                case "--config" -> config = args[i + 1];
                case "--out" -> out = args[i + 1];
                case "--seed" -> seed = Long.parseLong(args[i + 1]);
                case "--dtype" -> dtype = DType.valueOf(args[i + 1].toUpperCase(Locale.ROOT));
                default -> throw new IllegalArgumentException("unknown option " + args[i]);
            }
        }
        if (config == null || out == null || args.length % 2 != 0) {
            throw new IllegalArgumentException("usage: RandomModel --config FILE|2b|9b --out DIR [--seed N] [--dtype bf16|f16|f32]");
        }
        long start = System.nanoTime();
        write(Path.of(out), configText(config), seed, dtype);
        System.out.printf("wrote %s in %.1f s%n", out, (System.nanoTime() - start) / 1e9);
    }

    /** The text of a config: the released sizes by name, or a file. */
    static String configText(String config) throws IOException {
        if (config.equals("2b") || config.equals("9b")) {
            try (var in = RandomModel.class.getResourceAsStream("/configs/" + config + ".json")) {
                return new String(in.readAllBytes(), StandardCharsets.UTF_8);
            }
        }
        return Files.readString(Path.of(config));
    }

    /** Writes {@code config.json} and the weights it implies, as one file or as shards of at most 2 GB with their index. */
    public static void write(Path directory, String configJson, long seed, DType dtype) {
        write(directory, configJson, seed, dtype, SHARD_BYTES);
    }

    static void write(Path directory, String configJson, long seed, DType dtype, long shardBytes) {
        try {
            Files.createDirectories(directory);
            Files.writeString(directory.resolve("config.json"), configJson);
            RandomModel model = new RandomModel(directory, dtype, seed);
            model.writeShards(split(tensors(GriffinConfig.parse(configJson, "config.json")), shardBytes / dtype.bytes()));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** All tensors of a model, in the order of the released files: table, final norm, layers. */
    static List<Spec> tensors(GriffinConfig c) {
        List<Spec> specs = new ArrayList<>();
        specs.add(new Spec("model.embed_tokens.weight", z -> z / Math.sqrt(c.width()), c.vocabulary(), c.width()));
        specs.add(norm("model.final_norm.weight", c.width()));
        if (!c.tied()) {
            specs.add(new Spec("lm_head.weight", z -> z / Math.sqrt(c.width()), c.vocabulary(), c.width()));
        }
        for (int layer = 0; layer < c.layers(); layer++) {
            String prefix = "model.layers." + layer + ".";
            String block = prefix + "temporal_block.";
            if (c.blockKind(layer) == BlockKind.RECURRENT) {
                addRecurrent(specs, block, c);
            } else {
                addAttention(specs, block, c);
            }
            specs.add(norm(prefix + "temporal_pre_norm.weight", c.width()));
            specs.add(norm(prefix + "channel_pre_norm.weight", c.width()));
            addLinear(specs, prefix + "mlp_block.gate_proj", c.mlpWidth(), c.width(), true);
            addLinear(specs, prefix + "mlp_block.up_proj", c.mlpWidth(), c.width(), true);
            addLinear(specs, prefix + "mlp_block.down_proj", c.width(), c.mlpWidth(), true);
        }
        return specs;
    }

    private static void addRecurrent(List<Spec> specs, String block, GriffinConfig c) {
        addLinear(specs, block + "linear_x", c.lruWidth(), c.width(), true);
        addLinear(specs, block + "linear_y", c.lruWidth(), c.width(), true);
        addLinear(specs, block + "linear_out", c.width(), c.lruWidth(), true);
        specs.add(new Spec(block + "conv_1d.weight", z -> z / Math.sqrt(c.convTaps()), c.lruWidth(), 1, c.convTaps()));
        specs.add(bias(block + "conv_1d.bias", c.lruWidth()));
        specs.add(new Spec(block + "rg_lru.recurrent_param", RandomModel::decayParameter, c.lruWidth()));
        for (String gate : List.of("input_gate", "recurrent_gate")) {
            specs.add(new Spec(block + "rg_lru." + gate + "_weight", z -> z / Math.sqrt(c.gateWidth()), c.heads(), c.gateWidth(),
                    c.gateWidth()));
            specs.add(bias(block + "rg_lru." + gate + "_bias", c.heads(), c.gateWidth()));
        }
    }

    private static void addAttention(List<Spec> specs, String block, GriffinConfig c) {
        int heads = c.heads() * c.headWidth();
        addLinear(specs, block + "q_proj", heads, c.width(), false);
        addLinear(specs, block + "k_proj", c.headWidth(), c.width(), false);
        addLinear(specs, block + "v_proj", c.headWidth(), c.width(), false);
        addLinear(specs, block + "o_proj", c.width(), heads, true);
    }

    private static void addLinear(List<Spec> specs, String name, int out, int in, boolean bias) {
        specs.add(new Spec(name + ".weight", z -> z / Math.sqrt(in), out, in));
        if (bias) {
            specs.add(bias(name + ".bias", out));
        }
    }

    private static Spec norm(String name, int width) {
        return new Spec(name, z -> 0.1 * z, width);
    }

    private static Spec bias(String name, long... shape) {
        return new Spec(name, z -> 0.05 * z, shape);
    }

    /** p such that the base decay exp(-8 softplus(p)) spreads evenly over 0.9 to 0.999. */
    private static double decayParameter(double z) {
        double uniform = 1 / (1 + Math.exp(-1.702 * z));
        double softplus = -Math.log(0.9 + 0.099 * uniform) / 8;
        return Math.log(Math.expm1(softplus));
    }

    private static List<List<Spec>> split(List<Spec> specs, long shardElements) {
        List<List<Spec>> shards = new ArrayList<>();
        long elements = Long.MAX_VALUE;
        for (Spec spec : specs) {
            if (elements == Long.MAX_VALUE || elements + spec.elements() > shardElements) {
                shards.add(new ArrayList<>());
                elements = 0;
            }
            shards.getLast().add(spec);
            elements += spec.elements();
        }
        return shards;
    }

    private void writeShards(List<List<Spec>> shards) throws IOException {
        StringBuilder map = new StringBuilder();
        long bytes = 0;
        for (int i = 0; i < shards.size(); i++) {
            String file = shards.size() == 1 ? "model.safetensors" : "model-%05d-of-%05d.safetensors".formatted(i + 1, shards.size());
            writeShard(directory.resolve(file), shards.get(i));
            for (Spec spec : shards.get(i)) {
                map.append(map.isEmpty() ? "" : ",\n").append("    \"").append(spec.name()).append("\": \"").append(file).append('"');
                bytes += spec.elements() * dtype.bytes();
            }
        }
        if (shards.size() > 1) {
            Files.writeString(directory.resolve("model.safetensors.index.json"),
                    "{\n  \"metadata\": {\"total_size\": " + bytes + "},\n  \"weight_map\": {\n" + map + "\n  }\n}\n");
        }
    }

    private void writeShard(Path file, List<Spec> specs) {
        try (SafetensorsWriter writer = new SafetensorsWriter(file)) {
            specs.forEach(spec -> writer.declare(spec.name(), dtype, spec.shape()));
            specs.forEach(spec -> writeTensor(writer, spec));
            writer.finish();
        }
    }

    /** Chunks are drawn in parallel, each from a generator of its own, and appended in order. */
    private void writeTensor(SafetensorsWriter writer, Spec spec) {
        int[] table = NormalTable.encode(spec.value(), dtype);
        long elements = spec.elements();
        long chunks = (elements + CHUNK_ELEMENTS - 1) / CHUNK_ELEMENTS;
        for (long first = 0; first < chunks; first += CHUNKS_AT_ONCE) {
            long from = first;
            int count = (int) Math.min(CHUNKS_AT_ONCE, chunks - first);
            List<byte[]> drawn = IntStream.range(0, count).parallel()
                    .mapToObj(i -> draw(table, spec.name().hashCode(), from + i, elements)).toList();
            drawn.forEach(bytes -> writer.write(MemorySegment.ofArray(bytes)));
        }
    }

    private byte[] draw(int[] table, long tensor, long chunk, long elements) {
        int count = (int) Math.min(CHUNK_ELEMENTS, elements - chunk * CHUNK_ELEMENTS);
        int width = dtype.bytes();
        byte[] bytes = new byte[count * width];
        ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        long state = mix(mix(mix(seed) + tensor) + chunk);
        long bits = 0;
        for (int i = 0; i < count; i++) {
            bits = (i & 3) == 0 ? mix(state += 0x9E3779B97F4A7C15L) : bits >>> 16;
            int element = table[(int) bits & 0xFFFF];
            if (width == 2) {
                buffer.putShort(2 * i, (short) element);
            } else {
                buffer.putInt(4 * i, element);
            }
        }
        return bytes;
    }

    private static long mix(long z) {
        z = (z ^ z >>> 30) * 0xBF58476D1CE4E5B9L;
        z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
        return z ^ z >>> 31;
    }
}
