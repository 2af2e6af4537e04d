package griffin.cli;

import griffin.hub.HubSettings;
import griffin.hub.Installed;
import griffin.hub.ModelName;
import griffin.hub.ModelStore;
import griffin.hub.PullListener;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code griffin-run pull}: fetches a model by its name. */
@Command(name = "pull", header = "fetch a model by its name", sortOptions = false, abbreviateSynopsis = true,
        optionListHeading = "%nOptions:%n",
        description = {"",
            "Fetches a model from a Hugging Face-compatible hub, to be used as --model NAME from then on. Only the files that "
                    + "are read, over several connections, each checked by its hash; the model is there once all of it is. What was interrupted, "
                    + "however it was, goes on where it stopped. A model that is here already is brought up to the revision asked for."},
        footerHeading = "%nA gated model, such as Google's:%n",
        footer = {"  1. Sign in at the hub, and accept the terms on the model's page.",
            "  2. Make a token that may read, in the hub's settings.",
            "  3. GRIFFIN_HUB_TOKEN=... griffin-run pull google/recurrentgemma-2b-it, or --token-file FILE", "",
            "Models are kept in GRIFFIN_MODELS, by default ~/.cache/griffin/models.",
            "Through a proxy: GRIFFIN_JAVA_OPTS='-Dhttps.proxyHost=HOST -Dhttps.proxyPort=PORT'%n"})
final class PullCommand implements Callable<Integer> {

    private static final int MEGA = 1_000_000;
    /** Fewer bytes are worth no lines on the way. */
    private static final long LONG_BYTES = 100L * MEGA;

    private final Terminal terminal;

    @Parameters(index = "0", arity = "1", paramLabel = "NAME", completionCandidates = ModelNames.class,
            description = "A repository's id, such as google/recurrentgemma-2b-it, or one of recurrentgemma:2b, recurrentgemma:2b-it, "
                    + "recurrentgemma:9b, recurrentgemma:9b-it.")
    String name;

    @ArgGroup(validate = false, heading = "%nHub:%n")
    HubOptions hub = new HubOptions();

    @Mixin
    CommonOptions common = new CommonOptions();

    PullCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    /** Shows how far a pull is: a line that is redrawn on a terminal, else a line now and then. */
    static final class Shown implements PullListener {
        private final Terminal terminal;
        private final Progress progress;
        private Plan plan;
        private long bytes;
        private long tenths;

        Shown(Terminal terminal, ModelName name) {
            this.terminal = terminal;
            progress = Progress.start(terminal, "pulling " + name, "MB");
        }

        @Override
        public void started(Plan started) {
            plan = started;
            bytes = started.present();
            tenths = 10 * bytes / Math.max(1, started.bytes());
            progress.from((int) (bytes / MEGA));
            progress.note("pulling " + plan.name() + " at " + plan.revision().substring(0, 12) + " from " + plan.hub() + ": " + plan.files()
                    + " files, " + Sizes.of(plan.bytes()) + (bytes > 0 ? ", of which " + Sizes.of(bytes) + " are here" : ""));
        }

        @Override
        public void progress(long now, long of) {
            bytes = now;
            progress.update((int) (now / MEGA), (int) (of / MEGA));
            if (!terminal.errTerminal() && of >= LONG_BYTES && 10 * now / of > tenths && now < of) {
                tenths = 10 * now / of;
                progress.note(String.format(Locale.ROOT, "%s: %d %%, %s of %s", plan.name(), 10 * tenths, Sizes.of(now), Sizes.of(of)));
            }
        }

        @Override
        public void note(String sentence) {
            progress.note(sentence);
        }

        @Override
        public boolean cancelled() {
            return terminal.interrupts().raised();
        }
    }

    @Override
    public Integer call() {
        ModelName model = ModelName.parse(name);
        HubSettings settings = hub.settings(terminal);
        ModelStore store = ModelStore.ofDefault(terminal.environment());
        long start = System.nanoTime();
        terminal.interrupts().begin();
        Shown shown = new Shown(terminal, model);
        try {
            store.pull(model, settings, shown);
        } catch (CancellationException e) {
            shown.progress.close();
            terminal.note(shown.plan == null ? "stopped" : "stopped with " + Sizes.of(shown.bytes) + " of " + Sizes.of(shown.plan.bytes())
                    + " here; the same command goes on from there");
            return terminal.interrupts().exitCode();
        } finally {
            shown.progress.close();
            terminal.interrupts().end();
        }
        report(store.installed(model).orElseThrow(() -> new CancellationException("removed by another process")), shown,
                (System.nanoTime() - start) / 1e9);
        return 0;
    }

    private void report(Installed installed, Shown shown, double seconds) {
        if (common.json) {
            terminal.out().print(Json.object(json -> {
                ListCommand.fields(json, installed);
                json.writeNumberProperty("fetched_bytes", fetched(shown));
                Json.number(json, "seconds", seconds);
            }));
        } else if (shown.plan == null) {
            terminal.note(installed.name() + " is up to date: " + installed.path());
        } else {
            terminal.note(String.format(Locale.ROOT, "%s is here, %s in %.1f s: %s", installed.name(), Sizes.of(installed.bytes()), seconds,
                    installed.path()));
        }
    }

    private static long fetched(Shown shown) {
        return shown.plan == null ? 0 : shown.plan.bytes() - shown.plan.present();
    }
}
