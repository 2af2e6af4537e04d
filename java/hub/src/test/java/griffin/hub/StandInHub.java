package griffin.hub;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executors;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A hub on this machine: serves the folders {@code ROOT/OWNER/NAME} by the protocol of Hugging Face's hub, large files from a second
 * server that it redirects to. Tests make it fail. By itself:
 *
 * <pre>
 * java java/hub/src/test/java/griffin/hub/StandInHub.java --root DIR [--port 8090] [--rate MB_PER_SECOND]
 * </pre>
 *
 * The rate is that of each connection.
 */
public final class StandInHub implements AutoCloseable {

    /** One request as it came. */
    public record Request(boolean toStorage, String method, String path, String range, String authorization) {}

    /** Answers a request instead of the server, or returns false to let the server answer. */
    public interface Fault {
        boolean answers(HttpExchange exchange) throws IOException;
    }

    /** A file as the hub describes it: large ones have a SHA-256, small ones a git blob's SHA-1. */
    private record Entry(String name, Path path, long bytes, boolean large, String hash) {}

    private static final int BUFFER_BYTES = 1 << 16;

    /** Asked first for each request to the hub. */
    public volatile Fault hubFault = exchange -> false;
    /** Asked first for each request to the storage. */
    public volatile Fault storageFault = exchange -> false;
    /** What the storage puts before a hash to name a content; changes when a test says so. */
    public volatile String etagPrefix = "content-";
    private final Path root;
    private final long bytesPerSecond;
    private final HttpServer hub;
    private final HttpServer storage;
    private final Queue<Request> requests = new ConcurrentLinkedQueue<>();
    private final Map<String, Path> stored = new ConcurrentHashMap<>();
    /** By path, size and time. */
    private final Map<String, Entry> known = new ConcurrentHashMap<>();

    /** Serves the folders under {@code root} at free ports. */
    public StandInHub(Path root) {
        this(root, 0, Long.MAX_VALUE);
    }

    private StandInHub(Path root, int port, long bytesPerSecond) {
        this.root = root;
        this.bytesPerSecond = bytesPerSecond;
        hub = server(port, exchange -> serve(exchange, false));
        storage = server(0, exchange -> serve(exchange, true));
    }

    private static HttpServer server(int port, com.sun.net.httpserver.HttpHandler handler) {
        try {
            HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 100);
            server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
            server.createContext("/", handler);
            server.start();
            return server;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public static void main(String[] args) {
        String root = null;
        int port = 8090;
        long rate = Long.MAX_VALUE;
        for (int i = 0; i + 1 < args.length; i += 2) {
            switch (args[i]) {
                case "--root" -> root = args[i + 1];
                case "--port" -> port = Integer.parseInt(args[i + 1]);
                case "--rate" -> rate = Long.parseLong(args[i + 1]) * 1_000_000;
                default -> throw new IllegalArgumentException("unknown option " + args[i]);
            }
        }
        if (root == null || args.length % 2 != 0) {
            throw new IllegalArgumentException("usage: StandInHub --root DIR [--port 8090] [--rate MB_PER_SECOND]");
        }
        StandInHub hub = new StandInHub(Path.of(root), port, rate);
        System.out.println("a hub of the folders in " + root + " at " + hub.address());
    }

    /** What to give as the hub's address. */
    public URI address() {
        return URI.create("http://127.0.0.1:" + hub.getAddress().getPort());
    }

    /** Where large files come from. */
    public URI storageAddress() {
        return URI.create("http://127.0.0.1:" + storage.getAddress().getPort());
    }

    /** All requests so far. */
    public List<Request> requests() {
        return List.copyOf(requests);
    }

    public void forgetRequests() {
        requests.clear();
    }

    private void serve(HttpExchange exchange, boolean toStorage) throws IOException {
        try (exchange) {
            String path = exchange.getRequestURI().getPath();
            requests.add(new Request(toStorage, exchange.getRequestMethod(), path, exchange.getRequestHeaders().getFirst("Range"),
                    exchange.getRequestHeaders().getFirst("Authorization")));
            if ((toStorage ? storageFault : hubFault).answers(exchange)) {
                return;
            }
            if (toStorage) {
                String hash = path.substring(1);
                Path file = stored.get(hash);
                if (file == null) {
                    answer(exchange, 404, "text/plain", "no such content");
                } else {
                    exchange.getResponseHeaders().set("ETag", "\"" + etagPrefix + hash + "\"");
                    send(exchange, file);
                }
            } else {
                describeOrResolve(exchange, path.split("/"));
            }
        }
    }

    /** {@code /api/models/OWNER/NAME/revision/REVISION} or {@code /OWNER/NAME/resolve/REVISION/FILE}. */
    private void describeOrResolve(HttpExchange exchange, String[] parts) throws IOException {
        boolean describe = parts.length == 7 && parts[1].equals("api") && parts[2].equals("models") && parts[5].equals("revision");
        boolean resolve = parts.length == 6 && parts[3].equals("resolve");
        Path model = describe ? root.resolve(parts[3]).resolve(parts[4]) : resolve ? root.resolve(parts[1]).resolve(parts[2]) : null;
        if (model == null || !Files.isDirectory(model)) {
            exchange.getResponseHeaders().set("X-Error-Code", "RepoNotFound");
            answer(exchange, 404, "application/json", "{\"error\":\"Repository not found\"}");
            return;
        }
        List<Entry> entries = entries(model);
        String commit = commit(entries);
        String revision = describe ? parts[6] : parts[4];
        if (!revision.equals("main") && !revision.equals(commit)) {
            exchange.getResponseHeaders().set("X-Error-Code", "RevisionNotFound");
            answer(exchange, 404, "application/json", "{\"error\":\"Invalid rev id\"}");
        } else if (describe) {
            String id = parts[3] + "/" + parts[4];
            answer(exchange, 200, "application/json", "{\"id\":\"" + id + "\",\"sha\":\"" + commit + "\",\"siblings\":["
                    + entries.stream().map(StandInHub::description).collect(Collectors.joining(",")) + "]}");
        } else {
            resolve(exchange, entries, commit, parts[5]);
        }
    }

    private void resolve(HttpExchange exchange, List<Entry> entries, String commit, String name) throws IOException {
        Entry entry = entries.stream().filter(any -> any.name.equals(name)).findFirst().orElse(null);
        exchange.getResponseHeaders().set("X-Repo-Commit", commit);
        if (entry == null) {
            exchange.getResponseHeaders().set("X-Error-Code", "EntryNotFound");
            answer(exchange, 404, "text/plain", "Entry not found");
        } else if (entry.large) {
            stored.put(entry.hash, entry.path);
            exchange.getResponseHeaders().set("X-Linked-ETag", "\"" + entry.hash + "\"");
            exchange.getResponseHeaders().set("X-Linked-Size", Long.toString(entry.bytes));
            redirect(exchange, storageAddress() + "/" + entry.hash + "?signature=secret");
        } else {
            exchange.getResponseHeaders().set("ETag", "\"" + entry.hash + "\"");
            send(exchange, entry.path);
        }
    }

    private static String description(Entry entry) {
        return "{\"rfilename\":\"" + entry.name + "\",\"size\":" + entry.bytes + (entry.large
                ? ",\"blobId\":\"" + "0".repeat(40) + "\",\"lfs\":{\"sha256\":\"" + entry.hash + "\",\"size\":" + entry.bytes + "}}"
                : ",\"blobId\":\"" + entry.hash + "\"}");
    }

    private List<Entry> entries(Path model) throws IOException {
        try (Stream<Path> files = Files.list(model)) {
            return files.filter(Files::isRegularFile).sorted().map(path -> known.computeIfAbsent(key(path), any -> entry(path))).toList();
        }
    }

    private static String key(Path path) {
        try {
            return path + " " + Files.size(path) + " " + Files.getLastModifiedTime(path).toInstant();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Entry entry(Path path) {
        try {
            String name = path.getFileName().toString();
            boolean large = name.endsWith(".safetensors") || name.equals("tokenizer.json");
            byte[] content = Files.readAllBytes(path);
            MessageDigest digest = MessageDigest.getInstance(large ? "SHA-256" : "SHA-1");
            if (!large) {
                digest.update(("blob " + content.length + "\0").getBytes(StandardCharsets.US_ASCII));
            }
            return new Entry(name, path, content.length, large, HexFormat.of().formatHex(digest.digest(content)));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Another content, another commit. */
    private static String commit(List<Entry> entries) {
        try {
            byte[] all =
                    entries.stream().map(entry -> entry.name + entry.hash).collect(Collectors.joining()).getBytes(StandardCharsets.UTF_8);
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-1").digest(all));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Sends a short text. */
    public static void answer(HttpExchange exchange, int status, String type, String text) throws IOException {
        byte[] body = text.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", type);
        boolean head = exchange.getRequestMethod().equals("HEAD");
        exchange.sendResponseHeaders(status, head ? -1 : body.length == 0 ? -1 : body.length);
        if (!head) {
            exchange.getResponseBody().write(body);
        }
    }

    public static void redirect(HttpExchange exchange, String location) throws IOException {
        exchange.getResponseHeaders().set("Location", location);
        exchange.sendResponseHeaders(302, -1);
    }

    /** The first and the last byte that a request asks for, of a content of that many bytes; null when it asks for all. */
    public static long[] range(HttpExchange exchange, long bytes) {
        String range = exchange.getRequestHeaders().getFirst("Range");
        if (range == null) {
            return null;
        }
        String[] ends = range.substring("bytes=".length()).split("-");
        return new long[] {Long.parseLong(ends[0]), Math.min(bytes, Long.parseLong(ends[1]) + 1) - 1};
    }

    private void send(HttpExchange exchange, Path path) throws IOException {
        long bytes = Files.size(path);
        long[] range = range(exchange, bytes);
        String same = exchange.getRequestHeaders().getFirst("If-Range");
        if (same != null && !same.equals(exchange.getResponseHeaders().getFirst("ETag"))) {
            range = null;
        }
        if (range != null && range[0] >= bytes) {
            exchange.getResponseHeaders().set("Content-Range", "bytes */" + bytes);
            exchange.sendResponseHeaders(416, -1);
            return;
        }
        long from = range == null ? 0 : range[0];
        long to = range == null ? bytes : range[1] + 1;
        exchange.getResponseHeaders().set("Accept-Ranges", "bytes");
        exchange.getResponseHeaders().set("Content-Type", "application/octet-stream");
        if (range != null) {
            exchange.getResponseHeaders().set("Content-Range", "bytes " + from + "-" + (to - 1) + "/" + bytes);
        }
        boolean head = exchange.getRequestMethod().equals("HEAD");
        if (head) {
            exchange.getResponseHeaders().set("Content-Length", Long.toString(to - from));
        }
        exchange.sendResponseHeaders(range == null ? 200 : 206, head || from == to ? -1 : to - from);
        if (!head) {
            copy(path, from, to, exchange.getResponseBody());
        }
    }

    private void copy(Path path, long from, long to, OutputStream out) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(BUFFER_BYTES);
        try (FileChannel channel = FileChannel.open(path)) {
            for (long at = from; at < to;) {
                int count = channel.read(buffer.clear().limit((int) Math.min(BUFFER_BYTES, to - at)), at);
                out.write(buffer.array(), 0, count);
                at += count;
                if (bytesPerSecond < Long.MAX_VALUE) {
                    LockSupport.parkNanos((long) (count * 1e9 / bytesPerSecond));
                }
            }
        }
    }

    @Override
    public void close() {
        hub.stop(0);
        storage.stop(0);
    }
}
