package griffin.backend.cpu;

import griffin.backend.TensorPart;
import griffin.backend.host.HostWeight;
import java.util.function.IntUnaryOperator;

/** The rows of a weight cut into pieces; a piece never spans two parts. */
final class RowChunks {

    final TensorPart[] part;
    /** First row within the part. */
    final int[] row;
    final int[] count;
    /** First output column. */
    final int[] column;

    /** Pieces of {@code size} rows, except for the last of a part. */
    static RowChunks equal(HostWeight w, int size) {
        return new RowChunks(w.parts(), left -> size);
    }

    /**
     * Pieces that shrink, each a share of the rows that are left: long ones while all threads are busy, since whatever reads ahead begins
     * anew with each, and short ones at the end, where the others wait for the last.
     *
     * @param share    pieces that the rows left at any moment would make
     * @param multiple of it are the sizes, but for the last of a part; {@code least} and {@code most} are, too
     */
    static RowChunks shrinking(TensorPart[] parts, int share, int multiple, int least, int most) {
        return new RowChunks(parts, left -> Math.clamp(left / share / multiple * multiple, least, most));
    }

    private RowChunks(TensorPart[] parts, IntUnaryOperator size) {
        int all = 0;
        for (TensorPart p : parts) {
            all += p.rows();
        }
        int pieces = 0;
        int before = 0;
        for (TensorPart p : parts) {
            for (int r = 0; r < p.rows(); r += size.applyAsInt(all - before - r)) {
                pieces++;
            }
            before += p.rows();
        }
        part = new TensorPart[pieces];
        row = new int[pieces];
        count = new int[pieces];
        column = new int[pieces];
        int i = 0;
        before = 0;
        for (TensorPart p : parts) {
            for (int r = 0; r < p.rows(); r += count[i], i++) {
                part[i] = p;
                row[i] = r;
                count[i] = Math.min(size.applyAsInt(all - before - r), p.rows() - r);
                column[i] = before + r;
            }
            before += p.rows();
        }
    }
}
