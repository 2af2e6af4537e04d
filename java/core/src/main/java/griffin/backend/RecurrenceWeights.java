package griffin.backend;

/** Weights of {@link Backend#recurrence}: taps [E, 1, C], convBias [E] and the RG-LRU's own. */
public record RecurrenceWeights(Weight taps, Weight convBias, RgLruWeights rgLru) {}
