package griffin.tokenizer;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import java.io.IOException;
import java.net.Proxy;
import java.net.ProxySelector;
import java.net.SocketAddress;
import java.net.URI;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;

/** The library this tokenizer is compared with. Always loaded from a file: by name it would go to the network. */
final class ReferenceTokenizer implements AutoCloseable {

    /** Whatever was asked for over the network by way of the JDK's clients since the library's first use. */
    static final List<URI> CONNECTIONS = new CopyOnWriteArrayList<>();

    static {
        // Its engine reports usage unless told not to, and asks a cloud's metadata address first.
        System.setProperty("OPT_OUT_TRACKING", "true");
        System.setProperty("ai.djl.offline", "true");
        ProxySelector usual = ProxySelector.getDefault();
        ProxySelector.setDefault(new ProxySelector() {
            @Override
            public List<Proxy> select(URI uri) {
                CONNECTIONS.add(uri);
                return usual.select(uri);
            }

            @Override
            public void connectFailed(URI uri, SocketAddress address, IOException e) {
                usual.connectFailed(uri, address, e);
            }
        });
    }

    private final HuggingFaceTokenizer tokenizer;

    ReferenceTokenizer(Path file) throws IOException {
        tokenizer = HuggingFaceTokenizer.newInstance(file, Map.of("addSpecialTokens", "false", "truncation", "false", "padding", "false"));
    }

    int[] encode(String text) {
        return Arrays.stream(tokenizer.encode(text, false, false).getIds()).mapToInt(Math::toIntExact).toArray();
    }

    String decode(int[] ids, boolean skipSpecial) {
        return tokenizer.decode(Arrays.stream(ids).asLongStream().toArray(), skipSpecial);
    }

    @Override
    public void close() {
        tokenizer.close();
    }
}
