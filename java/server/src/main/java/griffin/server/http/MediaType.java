package griffin.server.http;

import java.util.Locale;

/** What a request says its body is. */
final class MediaType {

    private MediaType() {}

    /**
     * JSON is read under the name of JSON, under none, and under the names that clients send by default with a body they were given as
     * text: curl's form type, and text/plain. The Origin check, not the type, keeps foreign pages out.
     *
     * @throws HttpError 415 for anything else, another character set than UTF-8, and compressed bodies
     */
    static void requireJson(String contentType, String contentEncoding) {
        if (contentEncoding != null && !contentEncoding.equalsIgnoreCase("identity")) {
            throw unsupported("the body is compressed (" + contentEncoding + "); send it as it is");
        }
        if (contentType == null) {
            return;
        }
        String[] parts = contentType.toLowerCase(Locale.ROOT).split(";");
        switch (parts[0].strip()) {
            case "application/json", "text/json", "text/plain", "application/x-www-form-urlencoded", "application/x-ndjson", "" -> {
            }
            default -> throw unsupported("the body has the type " + parts[0].strip() + "; send application/json");
        }
        for (int i = 1; i < parts.length; i++) {
            String part = parts[i].strip();
            if (part.startsWith("charset=") && !part.substring(8).replace("\"", "").equals("utf-8")) {
                throw unsupported("the body has the character set " + part.substring(8) + "; send UTF-8");
            }
        }
    }

    private static HttpError unsupported(String message) {
        return new HttpError(415, message, null, null);
    }
}
