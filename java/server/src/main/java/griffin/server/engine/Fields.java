package griffin.server.engine;

import griffin.sampling.SamplingParams;
import griffin.server.http.Exchange;
import griffin.server.json.JsonObject;
import java.time.Duration;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Fields of requests that both APIs have, or that both lack and this server adds. */
public final class Fields {

    /** Names the session of a request, for clients that can add headers but no fields. */
    public static final String SESSION_HEADER = "X-Griffin-Session";
    /** How long a session's state is kept without being used. */
    public static final Duration KEEP = Duration.ofHours(1);
    private static final Duration FOREVER = Duration.ofDays(36_500);
    private static final Pattern DURATION = Pattern.compile("(-?\\d{1,9}(?:\\.\\d{1,9})?)(ms|s|m|h)?");

    private Fields() {}

    /** The session that a request names, by the field {@code session_id} or the header; the caller gives it back. */
    public static Optional<String> session(JsonObject body, Exchange exchange) {
        return body.string("session_id").or(() -> Optional.ofNullable(exchange.header(SESSION_HEADER)));
    }

    /** {@code keep_alive}: seconds, or a text such as 5m, 1h or 300ms; below 0 is for ever. */
    public static Optional<Duration> keepAlive(JsonObject body) {
        return switch (body.raw("keep_alive")) {
            case null -> Optional.empty();
            case Number n when Math.abs(n.doubleValue()) < 1e9 -> Optional.of(seconds(n.doubleValue()));
            case String s -> Optional.of(duration(body, s));
            case Object other -> throw body.wrong("keep_alive", "seconds, or a duration such as \"5m\"", other);
        };
    }

    private static Duration duration(JsonObject body, String text) {
        Matcher matcher = DURATION.matcher(text);
        if (!matcher.matches()) {
            throw body.wrong("keep_alive", "seconds, or a duration such as \"5m\"", text);
        }
        double unit = switch (matcher.group(2)) {
            case null -> 1;
            case "ms" -> 0.001;
            case "m" -> 60;
            case "h" -> 3600;
            default -> 1;
        };
        return seconds(Double.parseDouble(matcher.group(1)) * unit);
    }

    private static Duration seconds(double value) {
        return value < 0 || value > FOREVER.toSeconds() ? FOREVER : Duration.ofNanos((long) (value * 1e9));
    }

    /** The sampling fields under the names that both APIs share, over what the model suggests. */
    public static SamplingParams sampling(JsonObject body, SamplingParams suggested, String penaltyField) {
        SamplingParams s = suggested;
        Optional<Double> temperature = body.number("temperature", 0, 100);
        s = temperature.isPresent() ? s.withTemperature(temperature.get().floatValue()) : s;
        Optional<Long> topK = body.integer("top_k", -1, Integer.MAX_VALUE);
        s = topK.isPresent() ? s.withTopK((int) Math.max(0, topK.get())) : s;
        Optional<Double> topP = body.number("top_p", 0, 1);
        s = topP.isPresent() ? s.withTopP((float) Math.max(topP.get(), Float.MIN_NORMAL)) : s;
        Optional<Double> minP = body.number("min_p", 0, 1);
        s = minP.isPresent() ? s.withMinP(minP.get().floatValue()) : s;
        Optional<Double> penalty = body.number(penaltyField, 0.01, 100);
        s = penalty.isPresent() ? s.withRepetitionPenalty(penalty.get().floatValue()) : s;
        Optional<Long> seed = body.integer("seed", Long.MIN_VALUE, Long.MAX_VALUE);
        return seed.isPresent() ? s.withSeed(seed.get()) : s;
    }
}
