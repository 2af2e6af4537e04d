package griffin.model;

import griffin.backend.Backend;
import griffin.backend.MlpWeights;
import griffin.backend.RecurrenceWeights;
import griffin.backend.RgLruWeights;
import griffin.backend.TensorPart;
import griffin.backend.Weight;
import griffin.backend.WeightRole;
import griffin.weights.Tensor;
import griffin.weights.WeightFiles;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongConsumer;

/**
 * A model's weights as a backend holds them, under the names of the safetensors files. Products that share an input are one weight: x|y,
 * q|k|v, gate|up.
 *
 * @param embedding [V, D]
 * @param head      [V, D]; the embedding itself when tied
 * @param finalNorm [D]
 * @param layers    L entries
 */
record GriffinWeights(Weight embedding, Weight head, Weight finalNorm, List<Layer> layers) {

    /** A layer: norms [D], one kind of temporal block (the other is null), and the MLP. */
    record Layer(Weight temporalPreNorm, Recurrent recurrent, Attention attention, Weight channelPreNorm, MlpWeights mlp) {}

    /** Recurrent block: x|y [2E, D] + [2E], the recurrence, out [D, E] + [D]. */
    record Recurrent(Weight xy, Weight xyBias, RecurrenceWeights recurrence, Weight out, Weight outBias) {}

    /** Attention block: q|k|v [(H+2) K, D], out [D, H K] + [D]. */
    record Attention(Weight qkv, Weight out, Weight outBias) {}

    static GriffinWeights load(Backend backend, GriffinConfig config, WeightFiles files, LongConsumer loaded) {
        return new Loader((role, parts) -> {
            Weight weight = backend.load(role, parts);
            for (TensorPart part : parts) {
                loaded.accept(part.data().byteSize());
            }
            return weight;
        }, config, files).load();
    }

    /** Requires every tensor with its shape, as {@link #load} does, and loads none. */
    static void require(GriffinConfig config, WeightFiles files) {
        new Loader((role, parts) -> null, config, files).load();
    }

    /** Takes the parts of one weight; the backend's {@code load}, or nothing. */
    private interface Taker {
        Weight take(WeightRole role, TensorPart... parts);
    }

    /** Requires every tensor with its shape and hands it on. */
    private record Loader(Taker taker, GriffinConfig c, WeightFiles files) {

        GriffinWeights load() {
            Weight embedding = load(WeightRole.EMBEDDING, part("model.embed_tokens.weight", c.vocabulary(), c.width()));
            Weight head = c.tied() ? embedding : load(WeightRole.EMBEDDING, part("lm_head.weight", c.vocabulary(), c.width()));
            List<Layer> layers = new ArrayList<>();
            for (int i = 0; i < c.layers(); i++) {
                layers.add(layer("model.layers." + i + ".", c.blockKind(i)));
            }
            return new GriffinWeights(embedding, head, load(WeightRole.NORM, part("model.final_norm.weight", c.width())), layers);
        }

        private Layer layer(String name, BlockKind kind) {
            boolean recurrent = kind == BlockKind.RECURRENT;
            String temporal = name + "temporal_block.";
            return new Layer(load(WeightRole.NORM, part(name + "temporal_pre_norm.weight", c.width())),
                    recurrent ? recurrent(temporal) : null, recurrent ? null : attention(temporal),
                    load(WeightRole.NORM, part(name + "channel_pre_norm.weight", c.width())), mlp(name + "mlp_block."));
        }

        private Recurrent recurrent(String name) {
            int e = c.lruWidth();
            int g = c.gateWidth();
            int h = c.heads();
            String lru = name + "rg_lru.";
            Weight gates = load(WeightRole.GATES, part(lru + "input_gate_weight", h, g, g), part(lru + "recurrent_gate_weight", h, g, g));
            Weight gateBias = load(WeightRole.BIAS, part(lru + "input_gate_bias", h, g), part(lru + "recurrent_gate_bias", h, g));
            Weight decay = load(WeightRole.DECAY, part(lru + "recurrent_param", e));
            Weight taps = load(WeightRole.CONV_TAPS, part(name + "conv_1d.weight", e, 1, c.convTaps()));
            Weight convBias = load(WeightRole.BIAS, part(name + "conv_1d.bias", e));
            return new Recurrent(
                    load(WeightRole.LINEAR, part(name + "linear_x.weight", e, c.width()), part(name + "linear_y.weight", e, c.width())),
                    load(WeightRole.BIAS, part(name + "linear_x.bias", e), part(name + "linear_y.bias", e)),
                    new RecurrenceWeights(taps, convBias, new RgLruWeights(gates, gateBias, decay)),
                    load(WeightRole.LINEAR, part(name + "linear_out.weight", c.width(), e)),
                    load(WeightRole.BIAS, part(name + "linear_out.bias", c.width())));
        }

        private Attention attention(String name) {
            int q = c.heads() * c.headWidth();
            int k = c.headWidth();
            return new Attention(
                    load(WeightRole.LINEAR, part(name + "q_proj.weight", q, c.width()), part(name + "k_proj.weight", k, c.width()),
                            part(name + "v_proj.weight", k, c.width())),
                    load(WeightRole.LINEAR, part(name + "o_proj.weight", c.width(), q)),
                    load(WeightRole.BIAS, part(name + "o_proj.bias", c.width())));
        }

        private MlpWeights mlp(String name) {
            int f = c.mlpWidth();
            return new MlpWeights(
                    load(WeightRole.LINEAR, part(name + "gate_proj.weight", f, c.width()), part(name + "up_proj.weight", f, c.width())),
                    load(WeightRole.BIAS, part(name + "gate_proj.bias", f), part(name + "up_proj.bias", f)),
                    load(WeightRole.LINEAR, part(name + "down_proj.weight", c.width(), f)),
                    load(WeightRole.BIAS, part(name + "down_proj.bias", c.width())));
        }

        private Weight load(WeightRole role, TensorPart... parts) {
            return taker.take(role, parts);
        }

        private TensorPart part(String name, long... shape) {
            Tensor tensor = files.require(name, shape);
            int columns = (int) shape[shape.length - 1];
            return new TensorPart(tensor.dtype(), (int) (tensor.elements() / columns), columns, tensor.data());
        }
    }
}
