package griffin.benchmarks.gpu;

import java.util.Map;
import java.util.Optional;

/** Every bar in one place. A row's name without the model's is the key; where a card or a size has a bar of its own, its name leads. */
final class Bars {

    static final String DECODE_SHORT = "decode, batch 1, context 128";
    static final String DECODE_LONG = "decode, batch 1, context 8192";
    static final String DECODE_8 = "decode, batch 8, context 2304";
    static final String DECODE_32 = "decode, batch 32, context 2304";
    static final String PREFILL_SHORT = "prefill, 2048 tokens";
    static final String PREFILL_LONG = "prefill, 16384 tokens";
    static final String FIRST_TOKEN = "time to first token, 128-token prompt";
    static final String LOAD = "load of the weights from the page cache";
    static final String FIRST_LOAD = "load of the weights, the first of the process";
    static final String SOAK = "device memory after the soak";
    static final String PEER_EAGER = "decode against transformers, eager";
    static final String PEER_COMPILED = "decode against transformers, compiled";
    static final String PEER_PREFILL = "prefill of 2048 against transformers";
    static final String PEER_GEMMA = "prefill of 2048 against Gemma 2B in PyTorch";
    static final String OTHER_SHORT = "prefill, 2048 tokens, all that is not a product";
    static final String OTHER_LONG = "prefill, tokens 8192 to 16384, all that is not a product";
    static final String SCAN = "RG-LRU scan alone, 8192 tokens";
    static final String ATTENTION = "local attention alone, 8192 tokens";
    static final String PEER_SDPA = "local attention against PyTorch's scaled_dot_product_attention";
    static final String PEER_FLEX = "local attention against PyTorch's FlexAttention";

    private static final Map<String, Bar> BARS = Map.ofEntries(
            Map.entry("H100 2b " + DECODE_SHORT, Bar.atLeast(0.70, 0.75)),
            Map.entry("H100 2b " + DECODE_LONG, Bar.atLeast(0.70, 0.75)),
            Map.entry("H100 9b " + DECODE_SHORT, Bar.atLeast(0.82, 0.86)),
            Map.entry("H100 9b " + DECODE_LONG, Bar.atLeast(0.82, 0.86)),
            Map.entry("H200 2b " + DECODE_SHORT, Bar.atLeast(0.65, 0.70)),
            Map.entry("H200 2b " + DECODE_LONG, Bar.atLeast(0.65, 0.70)),
            Map.entry("H200 9b " + DECODE_SHORT, Bar.atLeast(0.79, 0.83)),
            Map.entry("H200 9b " + DECODE_LONG, Bar.atLeast(0.79, 0.83)),
            Map.entry(DECODE_32, Bar.atLeast(0.60, 0.75)),
            Map.entry("2b " + PREFILL_SHORT, Bar.atLeast(0.56, 0.65)),
            Map.entry("9b " + PREFILL_SHORT, Bar.atLeast(0.62, 0.70)),
            Map.entry(PREFILL_LONG, Bar.atLeast(0.65, 0.75)),
            Map.entry("2b " + FIRST_TOKEN, Bar.atMost(15, 8)),
            Map.entry("2b " + LOAD, Bar.atLeast(0.7, Double.NaN)),
            Map.entry(OTHER_SHORT, Bar.atMost(0.20, 0.10)),
            Map.entry(OTHER_LONG, Bar.atMost(0.20, 0.10)),
            Map.entry(SCAN, Bar.atLeast(0.70, 0.85)),
            Map.entry(ATTENTION, Bar.atLeast(0.35, 0.50)),
            Map.entry("2b " + PEER_SDPA, Bar.atLeast(1, Double.NaN)),
            Map.entry("2b " + PEER_FLEX, Bar.atLeast(1, Double.NaN)),
            Map.entry(SOAK, Bar.atMost(0, Double.NaN)),
            Map.entry("2b " + PEER_EAGER, Bar.atLeast(10, Double.NaN)),
            Map.entry("2b " + PEER_COMPILED, Bar.atLeast(6, Double.NaN)),
            Map.entry("2b " + PEER_PREFILL, Bar.atLeast(100, Double.NaN)),
            Map.entry("2b " + PEER_GEMMA, Bar.atLeast(1, Double.NaN)));

    private Bars() {}

    /**
     * The bar of a row, the most special one: of this card and size, of this size, of all.
     *
     * @param card the card's full name; only H100 and H200 have bars of their own
     * @param size 2b or 9b
     */
    static Optional<Bar> of(String card, String size, String row) {
        String family = card.contains("H200") ? "H200" : card.contains("H100") ? "H100" : "other";
        for (String key : new String[] {family + " " + size + " " + row, size + " " + row, row}) {
            if (BARS.containsKey(key)) {
                return Optional.of(BARS.get(key));
            }
        }
        return Optional.empty();
    }
}
