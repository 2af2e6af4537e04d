package griffin.text;

import griffin.error.InvalidRequestException;
import griffin.tokenizer.StreamingDecoder;
import griffin.tokenizer.Tokenizer;
import java.util.List;
import java.util.function.Consumer;

/** From ids to text as it may be shown: whole characters, and nothing that may still turn out to be a stop string. */
public final class TextStream {

    private final StreamingDecoder decoder;
    private final StopMatcher stops;
    private final Consumer<String> out;
    private final StringBuilder decoded = new StringBuilder();
    private final StringBuilder shown = new StringBuilder();
    private final StringBuilder all = new StringBuilder();

    /** @param out receives the pieces */
    public TextStream(Tokenizer tokenizer, List<String> stopStrings, Consumer<String> out) {
        decoder = new StreamingDecoder(tokenizer);
        stops = new StopMatcher(stopStrings);
        this.out = out;
    }

    private TextStream() {
        decoder = null;
        stops = null;
        out = null;
    }

    /** For a model without a tokenizer: there is no text. */
    public static TextStream none(List<String> stopStrings) {
        if (!stopStrings.isEmpty()) {
            throw new InvalidRequestException("stop strings need the model's tokenizer.json, and there is none: leave them out");
        }
        return new TextStream();
    }

    /** Takes a token; returns whether a stop string is complete. */
    public boolean append(int id) {
        if (decoder == null) {
            return false;
        }
        decoded.setLength(0);
        decoder.append(id, decoded);
        boolean stopped = decoded.length() > 0 && stops.append(decoded, shown);
        show();
        return stopped;
    }

    /** Lets out what was held back and returns the whole text. */
    public String finish() {
        if (decoder == null) {
            return "";
        }
        if (stops.matched().isEmpty()) {
            decoded.setLength(0);
            decoder.flush(decoded);
            stops.append(decoded, shown);
            stops.flush(shown);
            show();
        }
        return all.toString();
    }

    private void show() {
        if (shown.length() > 0) {
            all.append(shown);
            out.accept(shown.toString());
            shown.setLength(0);
        }
    }
}
