package griffin.benchmarks;

import griffin.error.ModelFormatException;
import griffin.model.BlockKind;
import griffin.model.GriffinConfig;
import griffin.weights.ModelFiles;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/** A model directory that exists in memory only: a config and bfloat16 weights, random normal over the square root of the input width. */
final class RandomFiles implements ModelFiles {

    private static final String CONFIG = "config.json";
    private static final String WEIGHTS = "model.safetensors";
    private static final int TABLE = 1 << 14;

    private record Spec(String name, double deviation, long... shape) {
        long elements() {
            return LongStream.of(shape).reduce(1, (a, b) -> a * b);
        }
    }

    private final String config;

    RandomFiles(String config) {
        this.config = config;
    }

    @Override
    public String location() {
        return "memory";
    }

    @Override
    public boolean exists(String name) {
        return name.equals(CONFIG) || name.equals(WEIGHTS);
    }

    @Override
    public String describe(String name) {
        return "memory/" + name;
    }

    @Override
    public List<String> names() {
        return List.of(CONFIG, WEIGHTS);
    }

    @Override
    public InputStream open(String name) {
        if (!name.equals(CONFIG)) {
            throw new ModelFormatException(describe(name) + " is not there to be read");
        }
        return new ByteArrayInputStream(config.getBytes(StandardCharsets.UTF_8));
    }

    @Override
    public MemorySegment map(String name, Arena arena) {
        List<Spec> specs = specs(GriffinConfig.parse(config, CONFIG));
        StringBuilder header = new StringBuilder("{");
        long end = 0;
        for (Spec s : specs) {
            String shape = LongStream.of(s.shape).mapToObj(Long::toString).collect(Collectors.joining(","));
            header.append(end == 0 ? "" : ",")
                    .append("\"%s\":{\"dtype\":\"BF16\",\"shape\":[%s],\"data_offsets\":[%d,%d]}".formatted(s.name,
                            shape, end, end + 2 * s.elements()));
            end += 2 * s.elements();
        }
        header.append('}').repeat(' ', 64 - (header.length() + 9) % 64);
        byte[] head = header.toString().getBytes(StandardCharsets.UTF_8);
        MemorySegment file = arena.allocate(8 + head.length + end, 64);
        file.set(ValueLayout.JAVA_LONG, 0, head.length);
        MemorySegment.copy(head, 0, file, ValueLayout.JAVA_BYTE, 8, head.length);
        long at = 8 + head.length;
        for (Spec s : specs) {
            fill(file.asSlice(at, 2 * s.elements()), s);
            at += 2 * s.elements();
        }
        return file;
    }

    private static void fill(MemorySegment target, Spec spec) {
        short[] table = new short[TABLE];
        Random random = new Random(spec.name.hashCode());
        for (int i = 0; i < TABLE; i++) {
            table[i] = (short) (Float.floatToRawIntBits((float) (random.nextGaussian() * spec.deviation)) >>> 16);
        }
        int rows = (int) (spec.elements() / spec.shape[spec.shape.length - 1]);
        int columns = (int) spec.shape[spec.shape.length - 1];
        IntStream.range(0, rows).parallel().forEach(row -> {
            long bits = row * 0x9E3779B97F4A7C15L + spec.name.hashCode();
            for (long at = 2L * row * columns; at < 2L * (row + 1) * columns; at += 2) {
                bits = bits * 0x5851F42D4C957F2DL + 0x14057B7EF767814FL;
                target.set(ValueLayout.JAVA_SHORT_UNALIGNED, at, table[(int) (bits >>> 50)]);
            }
        });
    }

    private static List<Spec> specs(GriffinConfig c) {
        List<Spec> specs = new ArrayList<>();
        linear(specs, "model.embed_tokens", c.vocabulary(), c.width(), false);
        specs.add(new Spec("model.final_norm.weight", 0.1, c.width()));
        for (int i = 0; i < c.layers(); i++) {
            String layer = "model.layers." + i + ".";
            specs.add(new Spec(layer + "temporal_pre_norm.weight", 0.1, c.width()));
            specs.add(new Spec(layer + "channel_pre_norm.weight", 0.1, c.width()));
            linear(specs, layer + "mlp_block.gate_proj", c.mlpWidth(), c.width(), true);
            linear(specs, layer + "mlp_block.up_proj", c.mlpWidth(), c.width(), true);
            linear(specs, layer + "mlp_block.down_proj", c.width(), c.mlpWidth(), true);
            if (c.blockKind(i) == BlockKind.RECURRENT) {
                recurrent(specs, layer + "temporal_block.", c);
            } else {
                attention(specs, layer + "temporal_block.", c);
            }
        }
        return specs;
    }

    private static void recurrent(List<Spec> specs, String block, GriffinConfig c) {
        int g = c.gateWidth();
        linear(specs, block + "linear_x", c.lruWidth(), c.width(), true);
        linear(specs, block + "linear_y", c.lruWidth(), c.width(), true);
        linear(specs, block + "linear_out", c.width(), c.lruWidth(), true);
        specs.add(new Spec(block + "conv_1d.weight", 0.3, c.lruWidth(), 1, c.convTaps()));
        specs.add(new Spec(block + "conv_1d.bias", 0.1, c.lruWidth()));
        specs.add(new Spec(block + "rg_lru.recurrent_param", 1, c.lruWidth()));
        for (String gate : List.of("input_gate", "recurrent_gate")) {
            specs.add(new Spec(block + "rg_lru." + gate + "_weight", 1 / Math.sqrt(g), c.heads(), g, g));
            specs.add(new Spec(block + "rg_lru." + gate + "_bias", 0.1, c.heads(), g));
        }
    }

    private static void attention(List<Spec> specs, String block, GriffinConfig c) {
        int q = c.heads() * c.headWidth();
        linear(specs, block + "q_proj", q, c.width(), false);
        linear(specs, block + "k_proj", c.headWidth(), c.width(), false);
        linear(specs, block + "v_proj", c.headWidth(), c.width(), false);
        linear(specs, block + "o_proj", c.width(), q, true);
    }

    private static void linear(List<Spec> specs, String name, int out, int in, boolean bias) {
        specs.add(new Spec(name + ".weight", 1 / Math.sqrt(in), out, in));
        if (bias) {
            specs.add(new Spec(name + ".bias", 0.02, out));
        }
    }
}
