package griffin.server.clients;

import griffin.Generation;
import griffin.GenerationListener;
import griffin.GenerationOptions;
import griffin.Griffin;
import griffin.Scheduler;
import griffin.Session;
import griffin.sampling.SamplingParams;
import griffin.server.GriffinServer;
import griffin.stories.GriffinStories;

/** A server of the embedded model on a free port, and the library's own answers. */
final class Served implements AutoCloseable {

    static final String MODEL = "griffin-stories";
    static final String ASK = "Write a story about a dog and a ball.";
    static final int MOST = 24;

    final Griffin griffin = Griffin.builder(GriffinStories.files()).device("cpu").parallel(4).sessions(5).open();
    final Scheduler scheduler = Scheduler.builder(griffin).start();
    final GriffinServer server;

    Served(String apiKey) {
        server = GriffinServer.builder(griffin, scheduler, MODEL).port(0).apiKey(apiKey).start();
    }

    String url() {
        return "http://127.0.0.1:" + server.port();
    }

    /** What the library itself answers to messages of one chat, the last of them. */
    Generation library(String... messages) {
        try (Session session = griffin.newSession()) {
            Generation last = null;
            for (String message : messages) {
                last = session.chat(message, GenerationOptions.DEFAULT.withSampling(SamplingParams.GREEDY).withMaxTokens(MOST),
                        new GenerationListener() {});
            }
            return last;
        }
    }

    /** What the library itself makes of a text. */
    Generation continued(String text) {
        try (Session session = griffin.newSession()) {
            return session.generate(text, GenerationOptions.DEFAULT.withSampling(SamplingParams.GREEDY).withMaxTokens(MOST), piece -> {});
        }
    }

    @Override
    public void close() {
        server.close();
        scheduler.close();
        griffin.close();
    }
}
