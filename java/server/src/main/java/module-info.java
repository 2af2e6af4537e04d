/** A model behind HTTP interfaces that tools already speak. Start at {@link griffin.server.GriffinServer}. */
module griffin.server {
    requires transitive griffin.core;
    requires tools.jackson.core;
    requires org.eclipse.jetty.server;
    requires org.slf4j;
    requires java.logging;
    requires io.prometheus.metrics.core;
    requires io.prometheus.writer.text;
    requires io.prometheus.metrics.model;
    requires io.prometheus.metrics.config;

    exports griffin.server;
}
