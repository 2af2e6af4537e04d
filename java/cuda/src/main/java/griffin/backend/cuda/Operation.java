package griffin.backend.cuda;

import griffin.backend.AttentionShape;
import griffin.backend.MlpWeights;
import griffin.backend.RecurrenceWeights;
import griffin.backend.RgLruWeights;

/** A recorded operation with its arguments: those of {@link griffin.backend.Backend}, and what {@link DecodePlanner} makes of them. */
sealed interface Operation {

    record Embed(CudaStep step, CudaWeight table, float scale, CudaBuffer x) implements Operation {}

    /** @param delta may be null */
    record AddRmsNorm(CudaRows rows, CudaBuffer residual, CudaBuffer delta, CudaWeight scale, float eps, CudaBuffer out)
            implements Operation {}

    /** @param bias may be null */
    record Linear(CudaRows rows, CudaBuffer in, CudaWeight w, CudaWeight bias, CudaBuffer out) implements Operation {}

    record GatedGelu(CudaRows rows, CudaBuffer gate, CudaBuffer up, CudaBuffer out) implements Operation {}

    record CausalConv(CudaStep step, CudaBuffer x, CudaWeight taps, CudaWeight bias, CudaBuffer state, CudaBuffer out)
            implements Operation {}

    record RgLru(CudaStep step, CudaBuffer x, RgLruWeights weights, CudaBuffer state, CudaBuffer out) implements Operation {}

    record Rotate(CudaStep step, AttentionShape shape, CudaBuffer qkv) implements Operation {}

    record WindowAttention(CudaStep step, AttentionShape shape, CudaBuffer qkv, CudaBuffer keys, CudaBuffer values, CudaBuffer out)
            implements Operation {}

    record StoreKeys(CudaStep step, AttentionShape shape, CudaBuffer qkv, CudaBuffer keys, CudaBuffer values) implements Operation {}

    record SelectRows(CudaStep step, CudaBuffer in, CudaBuffer out) implements Operation {}

    record Logits(CudaRows rows, CudaBuffer x, CudaWeight table, float cap, CudaBuffer out) implements Operation {}

    record Sample(CudaStep step, CudaBuffer logits, CudaBuffer seen) implements Operation {}

    record Advance(CudaStep step) implements Operation {}

    record Recurrence(CudaStep step, CudaBuffer xy, RecurrenceWeights weights, CudaBuffer convState, CudaBuffer state, CudaBuffer conv,
            CudaBuffer out) implements Operation {}

    record GatedMlp(CudaRows rows, CudaBuffer in, MlpWeights weights, CudaBuffer gateAndUp, CudaBuffer out) implements Operation {}

    record Attention(CudaStep step, AttentionShape shape, CudaBuffer qkv, CudaBuffer keys, CudaBuffer values, CudaBuffer out)
            implements Operation {}

    // ---- fusions of steps of few rows; more rows run their parts

    /** out = norm(residual) w^T + bias; the residual is complete. */
    record NormLinear(CudaRows rows, CudaBuffer residual, CudaWeight scale, float eps, CudaWeight w, CudaWeight bias, CudaBuffer out)
            implements Operation {}

    /** residual += in w^T + bias. */
    record LinearAdd(CudaRows rows, CudaBuffer in, CudaWeight w, CudaWeight bias, CudaBuffer residual) implements Operation {}

    /** out = gelu(gate) * up of norm(residual); w is gate|up. */
    record NormGatedLinear(CudaRows rows, CudaBuffer residual, CudaWeight scale, float eps, CudaWeight w, CudaWeight bias, CudaBuffer out)
            implements Operation {}

    /** residual += in w^T + bias; out = norm(residual). */
    record LinearAddNorm(CudaRows rows, CudaBuffer in, CudaWeight w, CudaWeight bias, CudaBuffer residual, CudaWeight scale, float eps,
            CudaBuffer out) implements Operation {

        /** Its first half. */
        LinearAdd sum() {
            return new LinearAdd(rows, in, w, bias, residual);
        }

        /** What follows it. */
        AddRmsNorm norm() {
            return new AddRmsNorm(rows, residual, null, scale, eps, out);
        }
    }

    /** The first half of a {@link GatedMlp}: gelu(gate) * up, w being gate|up, in the columns of the gate; those of up are for its use. */
    record GatedLinear(CudaRows rows, CudaBuffer in, CudaWeight w, CudaWeight bias, CudaBuffer gateAndUp) implements Operation {

        static GatedLinear of(GatedMlp p) {
            return new GatedLinear(p.rows(), p.in(), CudaWeight.of(p.weights().gateAndUp()), CudaWeight.of(p.weights().gateAndUpBias()),
                    p.gateAndUp());
        }

        int width() {
            return gateAndUp.columns() / 2;
        }

        /** Where the result is. */
        CudaBuffer hidden() {
            return gateAndUp.columns(0, width());
        }

        /** Its first half. */
        Linear product() {
            return new Linear(rows, in, w, bias, gateAndUp);
        }

        /** What follows it. */
        GatedGelu gelu() {
            return new GatedGelu(rows, hidden(), gateAndUp.columns(width(), width()), hidden());
        }
    }

    /** Publishes the run's result; last in every program. */
    record Publish(CudaStep step) implements Operation {}
}
