package griffin;

import griffin.error.ModelFormatException;
import griffin.weights.ModelFiles;

/** A model's mapped file that became shorter while it was open: Java reports the page that is gone as an InternalError. */
final class ChangedFile {

    private ChangedFile() {}

    /** What to throw instead of {@code e}: itself, if it is about something else. */
    static RuntimeException explain(InternalError e, ModelFiles files) {
        if (e.getMessage() == null || !e.getMessage().contains("unsafe memory access")) {
            throw e;
        }
        return new ModelFormatException("a weight file of " + files.location() + " was changed or cut short while the model was open, so "
                + "weights are missing: restore it and open the model again, and replace a model's files only while no program has it open",
                e);
    }
}
