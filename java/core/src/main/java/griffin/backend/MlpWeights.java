package griffin.backend;

/** Weights of {@link Backend#gatedMlp}: gate|up [2F, D] + [2F], down [D, F] + [D]. */
public record MlpWeights(Weight gateAndUp, Weight gateAndUpBias, Weight down, Weight downBias) {}
