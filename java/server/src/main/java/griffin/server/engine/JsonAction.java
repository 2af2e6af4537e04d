package griffin.server.engine;

import griffin.error.GriffinException;
import griffin.server.http.ErrorShape;
import griffin.server.http.Exchange;
import griffin.server.http.HttpError;
import griffin.server.http.Route;
import griffin.server.json.BadJsonException;
import griffin.server.json.JsonObject;
import java.util.function.UnaryOperator;

/** What a path does with the JSON it was sent. */
@FunctionalInterface
public interface JsonAction {

    void serve(Exchange exchange, JsonObject body) throws InterruptedException;

    /**
     * Turns what the library and the reader of JSON refuse into an API's errors, also within a stream.
     *
     * @param errors   the API's form of errors
     * @param inStream makes a part of its streams of such an error's JSON
     */
    static Route.Action judged(ErrorShape errors, UnaryOperator<byte[]> inStream, JsonAction action) {
        return exchange -> {
            HttpError error;
            try {
                action.serve(exchange, JsonObject.parse(exchange.body()));
                return;
            } catch (BadJsonException e) {
                error = HttpError.badRequest(e.getMessage(), e.field());
            } catch (GriffinException e) {
                error = Generations.explain(e);
            } catch (HttpError e) {
                error = e;
            }
            if (!exchange.committed()) {
                throw error;
            }
            exchange.write(inStream.apply(errors.body(error)));
            exchange.end();
        };
    }
}
