package griffin.model;

/** The two kinds of temporal block, named as config files name them. */
public enum BlockKind {

    /** Causal convolution and RG-LRU. */
    RECURRENT,

    /** Multi-query attention over a sliding window. */
    ATTENTION
}
