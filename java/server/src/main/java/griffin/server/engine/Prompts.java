package griffin.server.engine;

import griffin.Griffin;
import griffin.server.http.HttpError;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;

/** Texts to token ids, within the limit of a prompt's length. */
public final class Prompts {

    /** Encoding this many characters takes some 50 ms; a virtual thread gives way to no other while it computes. */
    private static final int LONG = 1 << 16;

    private final Griffin griffin;
    private final int mostTokens;
    private final Semaphore encoding = new Semaphore(1, true);

    /** @param mostTokens longest prompt, what a state already has not included */
    Prompts(Griffin griffin, int mostTokens) {
        this.griffin = griffin;
        this.mostTokens = mostTokens;
    }

    /** The ids of a text, with the model's first id before them if it begins a text. */
    public int[] text(String text, boolean begins) throws InterruptedException {
        int[] ids = encode(text.length(), () -> griffin.tokenizer().encode(text));
        if (!begins || griffin.bosId().isEmpty()) {
            return ids;
        }
        int[] withFirst = new int[ids.length + 1];
        withFirst[0] = griffin.bosId().get();
        System.arraycopy(ids, 0, withFirst, 1, ids.length);
        return withFirst;
    }

    /** Long texts are encoded one after another on threads that the system can interrupt, so that they hold up nobody. */
    int[] encode(int characters, Supplier<int[]> work) throws InterruptedException {
        if (!griffin.hasTokenizer()) {
            throw HttpError.badRequest("this model has no tokenizer.json, so that it takes and gives no text", null);
        }
        if (characters < LONG) {
            return work.get();
        }
        encoding.acquire();
        try {
            AtomicReference<int[]> ids = new AtomicReference<>();
            AtomicReference<Throwable> failure = new AtomicReference<>();
            Thread thread = Thread.ofPlatform().name("griffin-encode").daemon().unstarted(() -> ids.set(work.get()));
            thread.setUncaughtExceptionHandler((t, e) -> failure.set(e));
            thread.start();
            thread.join();
            switch (failure.get()) {
                case null -> {
                    return ids.get();
                }
                case RuntimeException e -> throw e;
                case Error e -> throw e;
                case Throwable e -> throw new IllegalStateException(e);
            }
        } finally {
            encoding.release();
        }
    }

    /**
     * Asserts that a prompt may be read.
     *
     * @throws HttpError when it is longer than the server's limit, or has an id that the model does not know
     */
    public int[] check(int[] ids) {
        if (ids.length > mostTokens) {
            throw new HttpError(400, "the prompt has " + ids.length + " tokens, and this server takes at most " + mostTokens,
                    "context_length_exceeded", "prompt");
        }
        int vocabulary = griffin.config().vocabulary();
        for (int id : ids) {
            if (id < 0 || id >= vocabulary) {
                throw HttpError.badRequest("the token id " + id + " is not in the model's vocabulary: 0 to " + (vocabulary - 1), "prompt");
            }
        }
        return ids;
    }
}
