package griffin.server.ollama;

import griffin.server.http.ErrorShape;
import griffin.server.http.HttpError;
import griffin.server.json.JsonText;

/** {@code {"error": "..."}}. */
public final class OllamaErrors implements ErrorShape {

    @Override
    public byte[] body(HttpError error) {
        return JsonText.object(json -> json.writeStringProperty("error", error.getMessage()));
    }
}
