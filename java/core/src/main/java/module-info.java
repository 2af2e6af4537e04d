/**
 * The Griffin inference library: models, sessions, states. Embed this module alone; it needs no command line or server. Start at
 * {@link griffin.Griffin}.
 */
@SuppressWarnings("module") // griffin.hub is compiled after this one
module griffin.core {
    requires static jdk.incubator.vector;

    uses griffin.backend.BackendProvider;

    exports griffin;
    exports griffin.error;
    exports griffin.sampling;
    exports griffin.tokenizer;
    // What the public interface mentions: the configuration, where a model's files come from, what a device is.
    exports griffin.model;
    exports griffin.weights;
    exports griffin.backend;
    // Atomic files and the words of errors, for the modules of this project that keep files of their own.
    exports griffin.io to griffin.hub;
}
