package griffin.backend.cuda;

import griffin.model.BlockKind;
import griffin.model.GriffinConfig;
import griffin.weights.ModelFiles;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** A model directory whose weights are zeros that take no space: for tests that ask what is launched, not what comes out. */
public final class SparseModel {

    private static final Path CONFIG_2B = Path.of("../core/src/test/resources/configs/2b.json");

    private final String type;
    private final int bytes;
    private final List<String> tensors = new ArrayList<>();
    private long end;

    private SparseModel(String type) {
        this.type = type;
        bytes = type.equals("F32") ? 4 : 2;
    }

    /**
     * The 2B model's layers, heads of width 256 and blocks of gates of 256, but one head, so 256 channels, and a vocabulary of 512.
     *
     * @param type of all tensors: BF16, F16 or F32
     */
    public static ModelFiles narrow2b(Path folder, String type) {
        try {
            String json = Files.readString(CONFIG_2B).replace(": 2560", ": 256").replace(": 15360", ": 1536").replace(": 256000", ": 512")
                    .replace("\"num_attention_heads\": 10", "\"num_attention_heads\": 1");
            Files.writeString(folder.resolve("config.json"), json);
            new SparseModel(type).write(folder.resolve("model.safetensors"), GriffinConfig.parse(json, "config.json"));
            return ModelFiles.of(folder);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void write(Path file, GriffinConfig c) throws IOException {
        add("embed_tokens.weight", c.vocabulary(), c.width());
        add("final_norm.weight", c.width());
        for (int i = 0; i < c.layers(); i++) {
            layer("layers." + i + ".", c, c.blockKind(i));
        }
        byte[] header = ("{" + String.join(",", tensors) + "}").getBytes(StandardCharsets.UTF_8);
        try (FileChannel out = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.SPARSE)) {
            out.write(ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(0, header.length), 0);
            out.write(ByteBuffer.wrap(header), 8);
            out.write(ByteBuffer.allocate(1), 8 + header.length + end - 1);
        }
    }

    private void layer(String name, GriffinConfig c, BlockKind kind) {
        int d = c.width();
        int e = c.lruWidth();
        int f = c.mlpWidth();
        String block = name + "temporal_block.";
        add(name + "temporal_pre_norm.weight", d);
        add(name + "channel_pre_norm.weight", d);
        if (kind == BlockKind.RECURRENT) {
            product(block + "linear_x", e, d, true);
            product(block + "linear_y", e, d, true);
            product(block + "linear_out", d, e, true);
            add(block + "conv_1d.weight", e, 1, c.convTaps());
            add(block + "conv_1d.bias", e);
            for (String gate : List.of("input_gate", "recurrent_gate")) {
                add(block + "rg_lru." + gate + "_weight", c.heads(), c.gateWidth(), c.gateWidth());
                add(block + "rg_lru." + gate + "_bias", c.heads(), c.gateWidth());
            }
            add(block + "rg_lru.recurrent_param", e);
        } else {
            product(block + "q_proj", c.heads() * c.headWidth(), d, false);
            product(block + "k_proj", c.headWidth(), d, false);
            product(block + "v_proj", c.headWidth(), d, false);
            product(block + "o_proj", d, c.heads() * c.headWidth(), true);
        }
        product(name + "mlp_block.gate_proj", f, d, true);
        product(name + "mlp_block.up_proj", f, d, true);
        product(name + "mlp_block.down_proj", d, f, true);
    }

    private void product(String name, int outputs, int inputs, boolean biased) {
        add(name + ".weight", outputs, inputs);
        if (biased) {
            add(name + ".bias", outputs);
        }
    }

    private void add(String name, int... shape) {
        long from = end;
        long elements = 1;
        List<String> sizes = new ArrayList<>();
        for (int size : shape) {
            elements *= size;
            sizes.add(Integer.toString(size));
        }
        end += elements * bytes;
        tensors.add(String.format(Locale.ROOT, "\"model.%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%d,%d]}", name, type,
                String.join(",", sizes), from, end));
    }
}
