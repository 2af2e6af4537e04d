/** The Griffin inference library: models, sessions, states. Embed this module alone; it needs no command line or server. */
module griffin.core {
    requires tools.jackson.core;
    requires static jdk.incubator.vector;

    exports griffin.error;
}
