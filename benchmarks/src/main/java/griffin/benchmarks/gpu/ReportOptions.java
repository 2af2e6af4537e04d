package griffin.benchmarks.gpu;

import java.nio.file.Path;
import java.util.List;

/** The command line of the report. */
final class ReportOptions {

    static final String USAGE = """
            usage: benchmarks/gpu/report --out DIR [options]
            Measures Griffin on an NVIDIA GPU against the card's own ceilings; writes DIR/report.json and prints a table.
              --part decode|prefill|peers|soak|all   may be repeated; default all
              --model-size 2b|9b    default 2b; with --part all and no size, 9b follows while there is time
              --model-2b DIR, --model-9b DIR   model directories; one that does not exist is made there, of random normal weights, and kept;
                                    without the option it is made in a temporary folder and deleted
              --soak-tokens N       tokens of the soak, default 500000
              --soak-model DIR      a small model that the soak decodes all tokens with; default the embedded model's files in the checkout
              --peers-script FILE   default benchmarks/peers/hf_baseline.py; python3 runs it, where torch and transformers are installed
              --device N            number of the GPU, default 0
              --runs N              runs whose median is reported, default 5
            The exit status is 0 when everything was measured, bars missed or not, 1 on an error, 2 on a wrong option.""";

    private static final List<String> PARTS = List.of("decode", "prefill", "peers", "soak", "all");

    Path out;
    boolean decode;
    boolean prefill;
    boolean peers;
    boolean soak;
    boolean everything;
    /** 2b, 9b, or null when nothing was said. */
    String size;
    Path model2b;
    Path model9b;
    int soakTokens = 500_000;
    Path soakModel = Path.of("java/stories/src/main/resources/griffin/stories");
    Path peersScript = Path.of("benchmarks/peers/hf_baseline.py");
    int device;
    int runs = 5;

    /** @throws IllegalArgumentException naming what is wrong */
    static ReportOptions parse(String... args) {
        ReportOptions o = new ReportOptions();
        for (int i = 0; i < args.length; i += 2) {
            String name = args[i];
            if (i + 1 == args.length) {
                throw new IllegalArgumentException("option " + name + " needs a value");
            }
            o.set(name, args[i + 1]);
        }
        if (o.out == null) {
            throw new IllegalArgumentException("--out DIR is missing: where report.json goes");
        }
        if (!(o.decode || o.prefill || o.peers || o.soak)) {
            o.part("all");
        }
        return o;
    }

    private void set(String name, String value) {
        switch (name) {
            case "--out" -> out = Path.of(value);
            case "--part" -> part(value);
            case "--model-size" -> size = oneOf(name, value, List.of("2b", "9b"));
            case "--model-2b" -> model2b = Path.of(value);
            case "--model-9b" -> model9b = Path.of(value);
            case "--soak-tokens" -> soakTokens = number(name, value, 8192);
            case "--soak-model" -> soakModel = Path.of(value);
            case "--peers-script" -> peersScript = Path.of(value);
            case "--device" -> device = number(name, value, 0);
            case "--runs" -> runs = number(name, value, 1);
            default -> throw new IllegalArgumentException("unknown option " + name);
        }
    }

    private void part(String value) {
        String name = oneOf("--part", value, PARTS);
        everything |= name.equals("all");
        decode |= everything || name.equals("decode");
        prefill |= everything || name.equals("prefill");
        peers |= everything || name.equals("peers");
        soak |= everything || name.equals("soak");
    }

    Path model(String modelSize) {
        return modelSize.equals("2b") ? model2b : model9b;
    }

    private static String oneOf(String name, String value, List<String> known) {
        if (!known.contains(value)) {
            throw new IllegalArgumentException(name + " must be one of " + String.join(", ", known) + ", not " + value);
        }
        return value;
    }

    private static int number(String name, String value, int least) {
        try {
            int n = Integer.parseInt(value);
            if (n >= least) {
                return n;
            }
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException(name + " must be a whole number, not " + value, e);
        }
        throw new IllegalArgumentException(name + " must be at least " + least + ", not " + value);
    }
}
