package griffin.cli;

import griffin.FinishReason;
import griffin.Generation;
import griffin.GenerationListener;
import griffin.Griffin;

/**
 * Shows one generation as it comes and ends it on a signal or when nobody reads any more: text if the model has a tokenizer, else ids
 * with commas between them.
 */
final class Reply implements GenerationListener {

    /** The length that the models were trained on; longer works, with less certain quality. */
    static final int TRAINED_TOKENS = 8192;

    private final Terminal terminal;
    private final Griffin griffin;
    private final Runnable cancel;
    private final boolean silent;
    private final boolean asIds;
    private final int before;
    private final Progress progress;
    private boolean warned;
    private boolean any;
    private boolean lineOpen;

    /**
     * @param before tokens of the session so far
     * @param cancel ends the generation
     * @param silent whether nothing is shown: the report at the end has it all
     */
    Reply(Terminal terminal, Griffin griffin, int before, Runnable cancel, boolean silent) {
        this.terminal = terminal;
        this.griffin = griffin;
        this.cancel = cancel;
        this.silent = silent;
        asIds = !griffin.hasTokenizer();
        warned = before > TRAINED_TOKENS;
        terminal.interrupts().begin();
        progress = Progress.start(terminal, "reading", "tokens");
        this.before = before;
    }

    @Override
    public void promptRead(int tokens, int of) {
        progress.update(tokens, of);
        if (!warned && before + of > TRAINED_TOKENS) {
            warned = true;
            terminal.note("the text is now " + (before + of) + " tokens long, and Griffin models were trained on " + TRAINED_TOKENS
                    + ": it goes on, but what lies further back may be forgotten");
        }
        cancelIfUnwanted();
    }

    @Override
    public void token(int id) {
        if (!any) {
            any = true;
            progress.close();
        }
        if (asIds && !silent) {
            terminal.out().print(lineOpen ? "," + id : Integer.toString(id));
            lineOpen = true;
        }
        cancelIfUnwanted();
    }

    @Override
    public void text(String piece) {
        if (!silent) {
            terminal.out().print(piece);
            lineOpen = !piece.endsWith("\n");
        }
    }

    private void cancelIfUnwanted() {
        if (terminal.interrupts().raised() || terminal.out().closed()) {
            cancel.run();
        }
    }

    /** After the generation, also after a failed one: wipes the progress line away and ends the line of text. */
    void finish() {
        progress.close();
        terminal.interrupts().end();
        if (lineOpen) {
            lineOpen = false;
            terminal.out().print("\n");
        }
    }

    /** 130 after Ctrl-C, likewise after other signals, else 0. */
    int exitCode() {
        return terminal.interrupts().exitCode();
    }

    /** Tokens, times and log-probabilities in words, on standard error. */
    void explain(Generation generation, boolean stats, boolean logprobs) {
        if (logprobs) {
            Report.logprobs(terminal, griffin, generation);
        }
        if (stats) {
            terminal.note(Report.stats(generation));
            String device = Report.device(griffin, generation);
            if (!device.isEmpty()) {
                terminal.note(device);
            }
        }
        if (generation.finishReason() == FinishReason.CANCELLED && terminal.interrupts().raised() && terminal.errTerminal()) {
            terminal.note("interrupted after " + generation.ids().size() + " tokens");
        }
    }
}
