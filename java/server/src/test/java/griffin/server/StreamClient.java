package griffin.server;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/**
 * A client that reads a streamed answer piece by piece, and may leave in the middle. HTTP/1.0, so that the stream has no chunks and ends
 * with its connection.
 */
final class StreamClient implements AutoCloseable {

    private final Socket socket;
    private final BufferedReader reader;
    private final boolean openAi;
    final int status;

    StreamClient(int port, String path, String body) throws IOException {
        openAi = path.startsWith("/v1/");
        socket = new Socket(InetAddress.getLoopbackAddress(), port);
        socket.setSoTimeout(120_000);
        socket.setTcpNoDelay(true);
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        String head = "POST " + path + " HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " + bytes.length
                + "\r\n\r\n";
        socket.getOutputStream().write((head + body).getBytes(StandardCharsets.UTF_8));
        reader = new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8));
        String first = reader.readLine();
        status = first == null ? 0 : Integer.parseInt(first.substring(9, 12));
        for (String line = first; line != null && !line.isEmpty();) {
            line = reader.readLine();
        }
    }

    /** The next object of the stream, or null at its end. */
    Map<?, ?> next() throws IOException {
        for (String line; (line = reader.readLine()) != null;) {
            String data = openAi && line.startsWith("data: ") ? line.substring(6) : line;
            if (data.equals("[DONE]")) {
                return null;
            }
            if (!data.isEmpty()) {
                return Served.object(data);
            }
        }
        return null;
    }

    /** The next line that is not empty, as it is, or null at the end. */
    String line() throws IOException {
        String line = reader.readLine();
        while (line != null && line.isEmpty()) {
            line = reader.readLine();
        }
        return line;
    }

    /** The text in an object of a stream of completions, chats, or Ollama's lines. */
    static String text(Map<?, ?> object) {
        if (object.containsKey("response")) {
            return Served.at(object, "response");
        }
        if (object.containsKey("message")) {
            return Served.at(object, "message", "content");
        }
        Map<?, ?> choice = Served.at(object, "choices", 0);
        Object text = choice.containsKey("delta") ? Served.at(choice, "delta", "content") : choice.get("text");
        return text == null ? "" : (String) text;
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
