package griffin.weights;

import java.util.Arrays;

/** Small helpers for shapes of tensors. */
final class Shapes {

    /** More axes than any tensor of this field has. */
    static final int MAX_RANK = 16;

    private Shapes() {}

    static String show(long[] shape) {
        return Arrays.toString(shape);
    }
}
