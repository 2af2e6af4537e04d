/** Models by name: fetched from a Hugging Face-compatible hub into a folder of this machine, and found there again. */
module griffin.hub {
    requires transitive griffin.core;
    requires java.net.http;
    requires tools.jackson.core;

    exports griffin.hub;
}
