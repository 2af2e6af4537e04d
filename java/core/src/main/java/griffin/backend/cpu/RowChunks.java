package griffin.backend.cpu;

import griffin.backend.TensorPart;
import griffin.backend.host.HostWeight;

/** The rows of a weight cut into pieces; a piece never spans two parts. */
final class RowChunks {

    final TensorPart[] part;
    /** First row within the part. */
    final int[] row;
    final int[] count;
    /** First output column. */
    final int[] column;

    /** @param size rows of the largest piece */
    RowChunks(HostWeight w, int size) {
        int pieces = 0;
        for (TensorPart p : w.parts()) {
            pieces += (p.rows() + size - 1) / size;
        }
        part = new TensorPart[pieces];
        row = new int[pieces];
        count = new int[pieces];
        column = new int[pieces];
        int i = 0;
        int before = 0;
        for (TensorPart p : w.parts()) {
            for (int r = 0; r < p.rows(); r += size, i++) {
                part[i] = p;
                row[i] = r;
                count[i] = Math.min(size, p.rows() - r);
                column[i] = before + r;
            }
            before += p.rows();
        }
    }
}
