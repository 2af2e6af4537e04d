package griffin.server.engine;

import griffin.GenerationOptions;

/**
 * A generation that a client asks for.
 *
 * @param ids      the prompt; after a state, what is new
 * @param resume   the state it goes on from, or null
 * @param resumed  tokens which that state has
 * @param options  how to generate
 * @param choices  how many continuations; the seed of each is one more than that of the one before
 * @param keepsState whether the state afterwards is wanted
 */
public record Ask(int[] ids, byte[] resume, int resumed, GenerationOptions options, int choices, boolean keepsState) {

    /** Tokens of the prompt, what was resumed included. */
    int promptTokens() {
        return resumed + ids.length;
    }

    /** One continuation of a prompt from nothing. */
    public static Ask of(int[] ids, GenerationOptions options) {
        return new Ask(ids, null, 0, options, 1, false);
    }
}
