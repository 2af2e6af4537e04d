package griffin.server;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.WebSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;

/** A headless Chromium with one page, steered by its DevTools protocol. */
final class Chromium implements AutoCloseable, WebSocket.Listener {

    private static final List<String> NAMES =
            List.of("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable");

    private final Process process;
    private final HttpClient http = HttpClient.newHttpClient();
    private final WebSocket page;
    private final AtomicInteger last = new AtomicInteger();
    private final Map<Integer, CompletableFuture<Map<?, ?>>> waiting = new ConcurrentHashMap<>();
    private final StringBuilder message = new StringBuilder();

    /** The program, if there is one on this machine. */
    static Optional<File> find() {
        return NAMES.stream()
                .flatMap(name -> Stream.of(System.getenv("PATH").split(File.pathSeparator)).map(folder -> new File(folder, name)))
                .filter(File::canExecute).findFirst();
    }

    Chromium(File program, Path folder) throws IOException, InterruptedException {
        process = new ProcessBuilder(program.getPath(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--remote-debugging-port=0", "--user-data-dir=" + folder.resolve("profile"), "--window-size=900,760", "about:blank")
                .redirectErrorStream(true).start();
        String address = null;
        BufferedReader lines = process.inputReader();
        for (String line; address == null && (line = lines.readLine()) != null;) {
            address = line.startsWith("DevTools listening on ws://") ? line.substring("DevTools listening on ws://".length()) : null;
        }
        Thread.startVirtualThread(() -> lines.lines().forEach(line -> {})); // nobody must be held up by a full pipe
        String origin = "http://" + address.substring(0, address.indexOf('/'));
        String opened = http.send(
                HttpRequest.newBuilder(URI.create(origin + "/json/new?about:blank")).PUT(HttpRequest.BodyPublishers.noBody()).build(),
                HttpResponse.BodyHandlers.ofString()).body();
        page = http.newWebSocketBuilder().buildAsync(URI.create((String) Served.object(opened).get("webSocketDebuggerUrl")), this).join();
        call("Page.enable", "{}");
    }

    @Override
    public CompletionStage<?> onText(WebSocket socket, CharSequence data, boolean end) {
        message.append(data);
        if (end) {
            Map<?, ?> answer = Served.object(message.toString());
            message.setLength(0);
            CompletableFuture<Map<?, ?>> waiter = answer.get("id") instanceof Long id ? waiting.remove(id.intValue()) : null;
            if (waiter != null) {
                waiter.complete(answer);
            }
        }
        socket.request(1);
        return null;
    }

    /** One call of the protocol; returns its result. */
    Map<?, ?> call(String method, String parameters) {
        int id = last.incrementAndGet();
        CompletableFuture<Map<?, ?>> answer = new CompletableFuture<>();
        waiting.put(id, answer);
        page.sendText("{\"id\":" + id + ",\"method\":\"" + method + "\",\"params\":" + parameters + "}", true).join();
        Map<?, ?> got = answer.orTimeout(60, TimeUnit.SECONDS).join();
        if (got.containsKey("error")) {
            throw new AssertionError(method + ": " + got);
        }
        return (Map<?, ?>) got.get("result");
    }

    /** The value of an expression in the page, promises waited for. */
    Object evaluate(String expression) {
        Map<?, ?> result =
                call("Runtime.evaluate", "{\"awaitPromise\":true,\"returnByValue\":true,\"expression\":" + quote(expression) + "}");
        if (result.containsKey("exceptionDetails")) {
            throw new AssertionError(expression + ": " + result);
        }
        return ((Map<?, ?>) result.get("result")).get("value");
    }

    /** Waits in the page, by its own animation frames, until an expression is true. */
    void await(String expression) {
        Object came = evaluate("new Promise(done => { const end = performance.now() + 50000; (function look() { if (" + expression
                + ") done(true); else if (performance.now() > end) done(false); else setTimeout(look, 20); })(); })");
        if (!Boolean.TRUE.equals(came)) {
            throw new AssertionError(expression + " did not come true; the page shows: " + evaluate("document.body.innerText"));
        }
    }

    void open(String url) {
        call("Page.navigate", "{\"url\":" + quote(url) + "}");
        await("location.href !== 'about:blank' && document.readyState === 'complete'");
    }

    /** Keeps what the page lets the person download in a folder. */
    void downloadTo(Path folder) {
        call("Browser.setDownloadBehavior", "{\"behavior\":\"allow\",\"downloadPath\":" + quote(folder.toString()) + "}");
    }

    /** Gives a file to an input element, as a person would choose it. */
    void choose(String selector, Path file) {
        Map<?, ?> document = call("DOM.getDocument", "{}");
        Object root = Served.at(document, "root", "nodeId");
        Object node = call("DOM.querySelector", "{\"nodeId\":" + root + ",\"selector\":" + quote(selector) + "}").get("nodeId");
        call("DOM.setFileInputFiles", "{\"files\":[" + quote(file.toString()) + "],\"nodeId\":" + node + "}");
    }

    void screenshot(Path file) throws IOException {
        Files.createDirectories(file.getParent());
        Files.write(file, Base64.getDecoder().decode((String) call("Page.captureScreenshot", "{\"format\":\"png\"}").get("data")));
    }

    static String quote(String text) {
        return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n") + "\"";
    }

    @Override
    public void close() {
        page.abort();
        http.shutdownNow();
        process.descendants().forEach(ProcessHandle::destroyForcibly);
        process.destroyForcibly();
    }
}
