package griffin.backend.reference;

import griffin.backend.TensorPart;
import griffin.backend.host.HostBuffer;
import griffin.backend.host.HostWeight;

/** The plain matrix product. */
final class ReferenceLinear {

    private ReferenceLinear() {}

    /** y[m, o] = sum_i x[m, i] w[o, i] + bias[o], for rows [0, rows). */
    static void multiply(int rows, HostBuffer x, HostWeight w, float[] bias, HostBuffer y) {
        float[] row = new float[w.columns()];
        int o = 0;
        for (TensorPart part : w.parts()) {
            for (int r = 0; r < part.rows(); r++, o++) {
                HostWeight.widen(part, (long) r * row.length, row.length, row, 0);
                for (int m = 0; m < rows; m++) {
                    double sum = bias == null ? 0 : bias[o];
                    int at = x.at(m);
                    for (int i = 0; i < row.length; i++) {
                        sum += (double) x.floats()[at + i] * row[i];
                    }
                    y.floats()[y.at(m) + o] = (float) sum;
                }
            }
        }
    }
}
