package griffin.cli;

import griffin.Griffin;
import griffin.Session;
import griffin.backend.DType;
import griffin.weights.SafetensorsWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code griffin-run logits}: the model's raw output, to compare ports with. */
@Command(name = "logits", header = "write the logits of token ids to a safetensors file", sortOptions = false, abbreviateSynopsis = true,
        optionListHeading = "%nOptions:%n",
        description = {"", "Writes the logits after each token, float32 [T, V] under the name 'logits', to a "
                + "safetensors file. Rows go to the file as they come, so any length fits in memory. Needs no tokenizer."})
final class LogitsCommand implements Callable<Integer> {

    private final Terminal terminal;

    @Option(names = "--ids", paramLabel = "IDS", required = true,
            description = "Token ids: 2,5,7 or @FILE, where integers stand separated by commas or white space. Taken as they are.")
    String ids;

    @Option(names = {"-o", "--out"}, paramLabel = "FILE.safetensors", required = true,
            description = "The file to write; it appears once it is complete.")
    Path out;

    @ArgGroup(validate = false, heading = "%nModel and device:%n")
    ModelOptions model = new ModelOptions();

    @Mixin
    CommonOptions.OfModel common = new CommonOptions.OfModel();

    LogitsCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() {
        int[] tokens = Ids.parse(ids);
        OutputFile.check("--out " + out, out);
        try (Griffin griffin = model.open(terminal, common.verbose); Session session = griffin.newSession();
                SafetensorsWriter writer = new SafetensorsWriter(out)) {
            Ids.check(tokens, ids, griffin);
            int vocabulary = griffin.config().vocabulary();
            writer.declare("logits", DType.F32, tokens.length, vocabulary);
            long start = System.nanoTime();
            if (!score(session, tokens, writer)) {
                return terminal.interrupts().exitCode();
            }
            writer.finish();
            double seconds = (System.nanoTime() - start) / 1e9;
            if (common.json) {
                terminal.out().print(Json.object(json -> {
                    json.writeStringProperty("model", model.name());
                    json.writeStringProperty("device", griffin.device().kind());
                    json.writeStringProperty("file", out.toString());
                    json.writeStringProperty("tensor", "logits");
                    json.writeStringProperty("dtype", "F32");
                    json.writeName("shape");
                    json.writeArray(new int[] {tokens.length, vocabulary}, 0, 2);
                    json.writeNumberProperty("prompt_tokens", tokens.length);
                    Json.number(json, "seconds", seconds);
                    Json.number(json, "prompt_tokens_per_second", tokens.length / seconds);
                }));
            } else {
                terminal.note("logits [" + tokens.length + ", " + vocabulary + "] are in " + out);
            }
            return 0;
        }
    }

    /** Returns false after a signal. */
    private boolean score(Session session, int[] tokens, SafetensorsWriter writer) {
        Interrupts interrupts = terminal.interrupts();
        interrupts.begin();
        Progress progress = Progress.start(terminal, "reading", "tokens");
        try {
            session.score(tokens, (index, logits) -> {
                if (interrupts.raised()) {
                    throw new CancellationException();
                }
                writer.write(logits, 0, logits.length);
                progress.update(index + 1, tokens.length);
            });
            return true;
        } catch (CancellationException e) {
            return false;
        } finally {
            progress.close();
            interrupts.end();
        }
    }
}
