package griffin.backend;

/** What a weight is for. It fixes the expected shape and tells a backend which layouts serve. */
public enum WeightRole {
    /** [V, D]: rows are looked up, and all of it is multiplied where the head is tied. */
    EMBEDDING,
    /** [O, I], output rows; several parts are stacked along O. */
    LINEAR,
    /** [O]; several parts are stacked. */
    BIAS,
    /** [D], stored around zero: the factor is 1 + w. */
    NORM,
    /** [E, 1, C]; tap C-1 multiplies the current row. */
    CONV_TAPS,
    /** Two parts, input gate then recurrence gate, each [H, G, G] as [head, in, out]: the opposite of a linear. */
    GATES,
    /** [E], recurrent_param: the backend keeps -8 softplus(p) in float32. */
    DECAY
}
