package griffin.tokenizer;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.util.Ec2Utils;
import java.io.IOException;
import java.lang.reflect.Field;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;

/** The library this tokenizer is compared with. Always loaded from a file: by name it would go to the network. */
final class ReferenceTokenizer implements AutoCloseable {

    static {
        // Its engine reports usage unless told not to, and asks a cloud's metadata address first.
        System.setProperty("OPT_OUT_TRACKING", "true");
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

    /** When the library last reported its use, in milliseconds since 1970; 0 for never. */
    static long lastReport() throws ReflectiveOperationException {
        Field field = Ec2Utils.class.getDeclaredField("lastCheckIn");
        field.setAccessible(true);
        return field.getLong(null);
    }

    @Override
    public void close() {
        tokenizer.close();
    }
}
