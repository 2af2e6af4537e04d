package griffin.backend;

import static griffin.backend.Conformance.filled;
import static griffin.backend.Conformance.pick;
import static griffin.backend.Side.absolute;
import static griffin.backend.Side.part;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Embedding, norm, products and the MLP's activation against the reference. */
interface DenseConformance extends Conformance {

    @Test
    default void embed() {
        Random random = random();
        for (DType dtype : WEIGHT_DTYPES) {
            for (int width : new int[] {1, 31, 32, 33, 207, 2560}) {
                int vocabulary = 50;
                TensorPart table = part(dtype, vocabulary, width, normal(random, vocabulary * width, 3));
                StepPlan plan = Conformance.sequences(random, 4, 5, vocabulary);
                compare("embed " + dtype + " " + width, tolerances().embed(dtype), null, side -> {
                    Side.Framed x = side.output(plan.rows() + 2, width);
                    side.backend.embed(side.step(plan, 4), side.weight(WeightRole.EMBEDDING, table), 17.875f, x.view);
                    return x.written(plan.rows());
                });
            }
        }
    }

    @Test
    default void addRmsNorm() {
        Random random = random();
        for (int width : new int[] {1, 31, 32, 33, 207, 2560, 7680}) {
            for (double size : new double[] {1, 1e-6, 1e6, 1e15, 0}) {
                int rows = 1 + random.nextInt(4);
                float[] residual = normal(random, rows * width, size);
                float[] delta = random.nextBoolean() ? normal(random, rows * width, size) : null;
                residual[random.nextInt(residual.length)] = -0f;
                TensorPart scale = part(DType.BF16, 1, width, normal(random, width, 0.5));
                String what = "addRmsNorm " + width + " of size " + size + (delta == null ? "" : " with delta");
                StepPlan plan = Conformance.rows(rows);
                same(what + ": residual", side -> norm(side, plan, residual, delta, scale, width)[0]);
                compare(what, tolerances().addRmsNorm(width), null, side -> norm(side, plan, residual, delta, scale, width)[1]);
            }
        }
    }

    /** Whole buffers, and more rows than processors hold at a time: a backend may have another form for them. */
    @Test
    default void addRmsNormOfManyRows() {
        Random random = random();
        int rows = 700;
        for (int width : new int[] {320, 2560, 4096}) {
            TensorPart scale = part(DType.BF16, 1, width, normal(random, width, 0.5));
            float[] residual = normal(random, rows * width, 3);
            for (float[] delta : new float[][] {null, normal(random, rows * width, 1)}) {
                String what = "addRmsNorm of many rows of " + width + (delta == null ? "" : " with delta");
                same(what + ": residual", side -> wholeNorm(side, rows, residual, delta, scale, width)[0]);
                compare(what, tolerances().addRmsNorm(width), null, side -> wholeNorm(side, rows, residual, delta, scale, width)[1]);
            }
        }
    }

    private static float[][] wholeNorm(Side side, int rows, float[] residual, float[] delta, TensorPart scale, int width) {
        Buffer x = side.backend.allocate(DType.F32, rows, width);
        Buffer more = side.backend.allocate(DType.F32, rows, width);
        Buffer out = side.backend.allocate(side.backend.operandType(), rows, width);
        side.write(x, residual);
        side.write(more, delta == null ? residual : delta);
        side.backend.addRmsNorm(side.step(Conformance.rows(rows), 1).rows(), x, delta == null ? null : more,
                side.weight(WeightRole.NORM, scale), 1e-6f, out);
        return new float[][] {side.read(x), side.read(out)};
    }

    private static float[][] norm(Side side, StepPlan plan, float[] residual, float[] delta, TensorPart scale, int width) {
        int rows = plan.rows();
        Side.Framed x = side.input(residual, width);
        Side.Framed out = side.operandOutput(rows + 1, width);
        side.backend.addRmsNorm(side.step(plan, 1).rows(), x.view, delta == null ? null : side.input(delta, width).view,
                side.weight(WeightRole.NORM, scale), 1e-6f, out.view);
        return new float[][] {x.written(rows), out.written(rows)};
    }

    @Test
    default void linearOfOddSizes() {
        Random random = random();
        for (int i = 0; i < 60; i++) {
            int inputs = pick(random, SIZES);
            TensorPart[] parts = new TensorPart[1 + random.nextInt(3)];
            for (int p = 0; p < parts.length; p++) {
                int outputs = pick(random, SIZES);
                parts[p] = part(WEIGHT_DTYPES[random.nextInt(3)], outputs, inputs, normal(random, outputs * inputs, 1));
            }
            linear(random, pick(random, 1, 1, 2, 3, 4, 5, 8, 33), random.nextBoolean(), pick(random, 0, 0, -20, 20), parts);
        }
    }

    @Test
    default void linearOfRealShapes() {
        Random random = random();
        float[] pool = normal(random, 2560 * 2560 + 5000, 0.02);
        for (DType dtype : WEIGHT_DTYPES) {
            linear(random, dtype == DType.BF16 ? 3 : 1, true, 0, part(dtype, 2560, 2560, Arrays.copyOf(pool, 2560 * 2560)));
        }
        linear(random, 1, false, 0, part(DType.BF16, 2560, 2560, Arrays.copyOf(pool, 2560 * 2560)),
                part(DType.BF16, 256, 2560, Arrays.copyOf(pool, 256 * 2560)), part(DType.BF16, 256, 2560, Arrays.copyOf(pool, 256 * 2560)));
        linear(random, 2, true, 0, part(DType.BF16, 512, 7680, Arrays.copyOf(pool, 512 * 7680)));
    }

    private void linear(Random random, int rows, boolean biased, int power, TensorPart... parts) {
        int inputs = parts[0].columns();
        int outputs = Arrays.stream(parts).mapToInt(TensorPart::rows).sum();
        float[] x = normal(random, rows * inputs, Math.scalb(1, power));
        x[random.nextInt(x.length)] = 0;
        x[random.nextInt(x.length)] = -0f;
        TensorPart bias = biased ? part(DType.F32, 1, outputs, normal(random, outputs, Math.scalb(1, power))) : null;
        TensorPart[] magnitudes = Arrays.stream(parts).map(Side::absolute).toArray(TensorPart[]::new);
        boolean operand = random.nextBoolean();
        float[] magnitude = product(reference(), absolute(x), magnitudes, bias == null ? null : absolute(bias), rows, outputs, false);
        String what = "linear [" + outputs + ", " + inputs + "] x " + rows + " of " + Arrays.stream(parts).map(TensorPart::dtype).toList();
        Tolerances.Tolerance tolerance = tolerances().linear(parts[0].dtype(), inputs);
        compare(what, operand ? tolerances().operand(tolerance) : tolerance, magnitude,
                side -> product(side, x, parts, bias, rows, outputs, operand));
    }

    private static float[] product(Side side, float[] x, TensorPart[] parts, TensorPart bias, int rows, int outputs,
            boolean operand) {
        Side.Framed out = operand ? side.operandOutput(rows + 1, outputs) : side.output(rows + 1, outputs);
        side.backend.linear(side.step(Conformance.rows(rows), 1).rows(), side.operandInput(x, parts[0].columns()).view,
                side.weight(WeightRole.LINEAR, parts), bias == null ? null : side.weight(WeightRole.BIAS, bias), out.view);
        return out.written(rows);
    }

    @Test
    default void sliceOfRows() {
        Random random = random();
        TensorPart w = part(DType.BF16, 5, 33, normal(random, 5 * 33, 1));
        float[] x = normal(random, 9 * 33, 1);
        for (int[] slice : new int[][] {{0, 9}, {0, 4}, {4, 4}, {8, 4}, {9, 3}, {6, 100}, {2, 1}}) {
            int live = Math.clamp(7 - slice[0], 0, slice[1]);
            compare("slice " + Arrays.toString(slice), tolerances().linear(DType.BF16, 33), filled(live * 5, 100), side -> {
                Side.Framed out = side.output(9, 5);
                int from = Math.min(slice[0], 8);
                Step step = side.step(Conformance.rows(7), 1);
                side.backend.linear(step.outputs().slice(slice[0], Math.min(slice[1], step.maxRows() - slice[0])),
                        side.operandInput(x, 33).view.rows(from, 9 - from), side.weight(WeightRole.LINEAR, w), null, out.view);
                return out.written(live);
            });
        }
    }

    @Test
    default void gatedGelu() {
        Random random = random();
        for (int width : new int[] {1, 31, 32, 33, 207, 7680}) {
            for (double size : new double[] {1, 1e-20, 30, 1e10, 1e35}) {
                float[] gate = normal(random, 3 * width, size);
                float[] up = normal(random, 3 * width, 1);
                gate[random.nextInt(gate.length)] = -0f;
                gate[random.nextInt(gate.length)] = random.nextBoolean() ? 100 : -100;
                float[] magnitude = new float[gate.length];
                for (int i = 0; i < magnitude.length; i++) {
                    magnitude[i] = Math.abs(Math.max(gate[i], -1) * up[i]); // gelu of anything negative is small
                }
                String what = "gatedGelu " + width + " of size " + size;
                for (String target : new String[] {"out", "up", "gate"}) {
                    compare(what + " into " + target, tolerances().gatedGelu(), magnitude, side -> {
                        Side.Framed g = side.operandInput(gate, width);
                        Side.Framed u = side.operandInput(up, width);
                        Side.Framed out = target.equals("out") ? side.operandOutput(4, width) : target.equals("up") ? u : g;
                        side.backend.gatedGelu(side.step(Conformance.rows(3), 1).rows(), g.view, u.view, out.view);
                        return out.written(3);
                    });
                }
            }
        }
    }

    @Test
    default void logits() {
        Random random = random();
        for (DType dtype : WEIGHT_DTYPES) {
            for (float cap : new float[] {0, 30, 5}) {
                int width = pick(random, SIZES);
                int vocabulary = pick(random, 1, 97, 1000);
                TensorPart table = part(dtype, vocabulary, width, normal(random, vocabulary * width, 2));
                float[] x = normal(random, 4 * width, pick(random, 1, 1, 20));
                float[] magnitude = capped(reference(), absolute(x), absolute(table), 0, vocabulary, width);
                compare("logits " + dtype + " cap " + cap, tolerances().logits(dtype, width, cap), magnitude,
                        side -> capped(side, x, table, cap, vocabulary, width));
            }
        }
    }

    private static float[] capped(Side side, float[] x, TensorPart table, float cap, int vocabulary, int width) {
        Side.Framed out = side.output(5, vocabulary);
        side.backend.logits(side.step(Conformance.rows(4), 1).outputs(), side.operandInput(x, width).view,
                side.weight(WeightRole.EMBEDDING, table), cap, out.view);
        return out.written(4);
    }

    @Test
    default void gatedMlpEqualsItsDefaultBody() {
        Random random = random();
        int d = 33;
        int f = 65;
        float[] x = normal(random, 3 * d, 1);
        TensorPart[] w = {part(DType.BF16, f, d, normal(random, f * d, 0.2)), part(DType.F16, f, d, normal(random, f * d, 0.2)),
            part(DType.F32, d, f, normal(random, d * f, 0.2)), part(DType.F32, 1, 2 * f, normal(random, 2 * f, 0.2)),
            part(DType.F32, 1, d, normal(random, d, 0.2))};
        double rounding = operands() == DType.BF16 ? 2 * 0x1p-9 : 64 * Tolerances.EPS;
        Tolerances.Tolerance tolerance = new Tolerances.Tolerance(0, rounding * Math.sqrt(f));
        Conformance.close("gatedMlp", tolerances().fusion(tolerance), null, mlp(new DefaultFusions(device().backend), x, w, d, f),
                mlp(device().backend, x, w, d, f));
        compare("gatedMlp against the reference", tolerance, null, side -> mlp(side.backend, x, w, d, f));
    }

    private static float[] mlp(Backend backend, float[] x, TensorPart[] w, int d, int f) {
        Side side = new Side(backend, 4);
        MlpWeights weights = new MlpWeights(side.weight(WeightRole.LINEAR, w[0], w[1]), side.weight(WeightRole.BIAS, w[3]),
                side.weight(WeightRole.LINEAR, w[2]), side.weight(WeightRole.BIAS, w[4]));
        Side.Framed out = side.output(4, d);
        backend.gatedMlp(side.step(Conformance.rows(3), 1).rows(), side.operandInput(x, d).view, weights,
                side.operandOutput(4, 2 * f).view, out.view);
        return out.written(3);
    }
}
