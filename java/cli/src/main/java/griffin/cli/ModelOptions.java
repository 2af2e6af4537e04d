package griffin.cli;

import griffin.Griffin;
import griffin.GriffinBuilder;
import griffin.ModelInfo;
import griffin.WeightPlace;
import griffin.stories.GriffinStories;
import griffin.weights.ModelFiles;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** Which model, and what it runs on. */
final class ModelOptions {

    static final class Devices extends Words {
        Devices() {
            super("auto", "cpu", "cuda", "metal", "reference");
        }
    }

    @Option(names = {"-m", "--model"}, paramLabel = "DIR|NAME", converter = PathOrName.class,
            description = "Folder of a model in Hugging Face form: config.json, safetensors weights, and tokenizer.json unless "
                    + "ids are given; or the name of a model that griffin-run pull has fetched, such as google/recurrentgemma-2b-it or "
                    + "recurrentgemma:2b-it. Left out: the small story writer that comes with the command.")
    Path model;

    /** A short name has a colon, which no path of Windows may have. */
    static final class PathOrName implements ITypeConverter<Path> {
        @Override
        public Path convert(String text) {
            try {
                return Path.of(text);
            } catch (InvalidPathException e) {
                if (text.indexOf('\0') >= 0) {
                    throw new TypeConversionException(e.getMessage());
                }
                return Path.of(PulledModels.id(text));
            }
        }
    }

    @Option(names = "--device", paramLabel = "NAME", completionCandidates = Devices.class, defaultValue = "auto",
            description = "One of ${COMPLETION-CANDIDATES}; cuda:1 is the second card. auto takes the best one found, and says so if it is a GPU; reference "
                    + "is slow, for comparisons.")
    String device;

    static final class Computes extends Words {
        Computes() {
            super("bf16", "f32");
        }
    }

    @Option(names = "--compute", paramLabel = "TYPE", completionCandidates = Computes.class, defaultValue = "bf16",
            description = "What a GPU multiplies: ${COMPLETION-CANDIDATES}; sums are float32 either way. Default: bf16. A CPU always computes in "
                    + "float32.")
    String compute;

    static final class Places extends Words {
        Places() {
            super(WeightPlace.choices());
        }
    }

    @Option(names = "--weights", paramLabel = "WHERE", completionCandidates = Places.class, defaultValue = "mapped",
            description = "Where a CPU reads weights: ${COMPLETION-CANDIDATES}. mapped (the default) reads them in the model's files, which opens at "
                    + "once; memory copies them first and needs as much free memory, and is faster where --stats tells that few of the "
                    + "mapped weights are in large pages.")
    String weights;

    @Option(names = "--threads", paramLabel = "N", description = "Threads of the CPU. Default, and 0: one per core.")
    Integer threads;

    @Option(names = "--chunk", paramLabel = "N",
            description = "Prompt tokens read in one step. Default: 256, on a GPU 2048, or 8192 with 40 GiB free. Less needs less memory.")
    Integer chunk;

    /** The one of these options that has a variable. */
    static final String WINDOW = "--window";

    @Option(names = WINDOW, paramLabel = "N",
            description = "Look back on N tokens instead of as many as the model was trained with; warns that this departs from it. "
                    + "Default, and 0: as many as it was trained with. Environment: GRIFFIN_WINDOW, for serve and info.")
    Integer window;

    @Option(names = "--check", description = "Read all weights first and refuse the model if one is NaN or infinite.")
    boolean check;

    /**
     * Opens it.
     *
     * @param verbose whether to say in any case which device was taken and why
     */
    Griffin open(Terminal terminal, boolean verbose) {
        return open(terminal, verbose, builder -> builder);
    }

    /** The same with further settings. */
    Griffin open(Terminal terminal, boolean verbose, UnaryOperator<GriffinBuilder> more) {
        Griffin griffin = underWay(terminal, "loading ", builder -> more.apply(builder).open());
        noteDevice(terminal, verbose, griffin.device().kind(), griffin.deviceReason());
        return griffin;
    }

    /** Looks at it without loading it, with the same notes. */
    ModelInfo info(Terminal terminal, boolean verbose) {
        ModelInfo info = underWay(terminal, check ? "checking " : "reading ", GriffinBuilder::info);
        noteDevice(terminal, verbose, info.device().kind(), info.deviceReason());
        return info;
    }

    private <T> T underWay(Terminal terminal, String doing, Function<GriffinBuilder, T> work) {
        GriffinBuilder builder = Griffin.builder(files(terminal)).device(device).check(check).notices(terminal::note);
        set("--compute", compute, builder::compute);
        set("--weights", weights, builder::weights);
        set("--threads", threads, builder::threads);
        set("--chunk", chunk, builder::chunk);
        set(WINDOW, window, builder::window);
        Progress progress = Progress.start(terminal, doing + name(), "MB");
        builder.loading((bytes, of) -> progress.update((int) (bytes / 1_000_000), (int) (of / 1_000_000)));
        try {
            return work.apply(builder);
        } finally {
            progress.close();
        }
    }

    private static <T> void set(String option, T value, Function<T, GriffinBuilder> setting) {
        if (value != null) {
            UsageErrors.naming(option, () -> setting.apply(value));
        }
    }

    /** The CPU is always there, so that there was a choice only where something else was taken. */
    private void noteDevice(Terminal terminal, boolean verbose, String kind, String reason) {
        if (verbose || device.equals("auto") && !kind.equals("cpu")) {
            terminal.note(reason);
        }
    }

    private ModelFiles files(Terminal terminal) {
        if (model == null) {
            return GriffinStories.files();
        }
        return ModelFiles.of(Files.exists(model) ? model : PulledModels.find(model, terminal.environment()));
    }

    /** What reports call the model. */
    String name() {
        return model == null ? "griffin-stories" : model.toString();
    }
}
