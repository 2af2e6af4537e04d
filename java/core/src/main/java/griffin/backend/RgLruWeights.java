package griffin.backend;

/**
 * @param gates    {@link WeightRole#GATES}, input gate then recurrence gate, [H, G, G] each
 * @param gateBias {@link WeightRole#BIAS}, input gate [E] then recurrence gate [E]
 * @param decay    {@link WeightRole#DECAY} [E]
 */
public record RgLruWeights(Weight gates, Weight gateBias, Weight decay) {}
