package griffin.benchmarks;

import griffin.Griffin;
import griffin.WeightPlace;
import griffin.error.InvalidRequestException;
import griffin.weights.ModelFiles;
import java.nio.file.Files;
import java.nio.file.Path;

/** The command line after the benchmark's name. */
final class Options {

    /** A model directory, or null for random weights of {@link #shape} in memory. */
    Path model;
    ModelShape shape = ModelShape.M2B;
    /** Layers of the model in memory; 0 is the shape's own number. */
    int layers;
    int runs = 5;
    int threads = Runtime.getRuntime().availableProcessors();
    int tokens;
    /** As after {@code griffin-run --device}; for the benchmarks that go through the public interface. */
    String device = "cpu";
    boolean twin = true;
    /** Where {@link #model}'s weights are read, as after {@code griffin-run --weights}. */
    WeightPlace weights = WeightPlace.MAPPED;

    static Options parse(String[] args, int from) {
        Options o = new Options();
        for (int i = from; i < args.length; i++) {
            switch (args[i]) {
                case "--model" -> o.model = model(value(args, ++i));
                case "--shape" -> o.shape = ModelShape.named(value(args, ++i));
                case "--layers" -> o.layers = number(args, ++i);
                case "--runs" -> o.runs = number(args, ++i);
                case "--threads" -> o.threads = number(args, ++i);
                case "--tokens" -> o.tokens = number(args, ++i);
                case "--device" -> o.device = value(args, ++i);
                case "--weights" -> o.weights = weights(value(args, ++i));
                case "--no-c" -> o.twin = false;
                default -> throw new IllegalArgumentException("unknown option " + args[i]);
            }
        }
        if (o.copiesWeights() && o.model == null) {
            throw new IllegalArgumentException("option --weights memory needs --model: random weights are in memory anyway");
        }
        return o;
    }

    /** The model on the device that was asked for. */
    Griffin open(ModelFiles files, int parallel, int sessions) {
        return Griffin.builder(files).device(device).threads(threads).parallel(parallel).sessions(sessions)
                .weights(weights.word()).open();
    }

    /** Whether {@link #model}'s weights are copied into memory first. */
    boolean copiesWeights() {
        return weights == WeightPlace.MEMORY;
    }

    int layers() {
        return layers > 0 ? layers : shape.layers;
    }

    private static String value(String[] args, int i) {
        if (i == args.length) {
            throw new IllegalArgumentException("option " + args[i - 1] + " needs a value");
        }
        return args[i];
    }

    /** Refused before anything is measured. */
    private static Path model(String value) {
        Path directory = Path.of(value);
        if (!Files.isRegularFile(directory.resolve("config.json"))) {
            throw new IllegalArgumentException("option --model must be a model's folder: there is no " + directory.resolve("config.json"));
        }
        return directory;
    }

    private static WeightPlace weights(String value) {
        try {
            return WeightPlace.of(value);
        } catch (InvalidRequestException e) {
            throw new IllegalArgumentException("option --" + e.getMessage(), e);
        }
    }

    private static int number(String[] args, int i) {
        String value = value(args, i);
        try {
            int n = Integer.parseInt(value);
            if (n >= 1) {
                return n;
            }
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException("option " + args[i - 1] + " must be a whole number, not " + value, e);
        }
        throw new IllegalArgumentException("option " + args[i - 1] + " must be at least 1, not " + value);
    }
}
