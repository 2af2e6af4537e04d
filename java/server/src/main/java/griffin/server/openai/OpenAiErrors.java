package griffin.server.openai;

import griffin.server.http.ErrorShape;
import griffin.server.http.HttpError;
import griffin.server.json.JsonText;
import tools.jackson.core.JsonGenerator;

/** {@code {"error": {"message", "type", "param", "code"}}}. */
public final class OpenAiErrors implements ErrorShape {

    @Override
    public byte[] body(HttpError error) {
        return JsonText.object(json -> JsonText.object(json, "error", () -> {
            json.writeStringProperty("message", error.getMessage());
            json.writeStringProperty("type", type(error.status()));
            nullable(json, "param", error.field());
            nullable(json, "code", error.code());
        }));
    }

    private static void nullable(JsonGenerator json, String name, String value) {
        json.writeName(name);
        if (value == null) {
            json.writeNull();
        } else {
            json.writeString(value);
        }
    }

    private static String type(int status) {
        return switch (status) {
            case 401 -> "authentication_error";
            case 403 -> "permission_error";
            case 429 -> "rate_limit_error";
            default -> status >= 500 ? "server_error" : "invalid_request_error";
        };
    }
}
