package griffin.cli;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;

/** Runs the command inside the test's process, with streams that are no terminals unless a test says so. */
final class Cli {

    static final Path GOLDEN = Path.of("../core/src/test/resources/golden");
    static final String TINY = GOLDEN.resolve("tiny-a").toString();

    /** Exit code and what was written. */
    record Result(int exit, String out, String err) {

        /** Standard output as one JSON object, which must be all there is. */
        Map<?, ?> json() {
            try (JsonParser parser = new JsonFactory().createParser(ObjectReadContext.empty(), out)) {
                parser.nextToken();
                Map<?, ?> object = (Map<?, ?>) value(parser);
                if (parser.nextToken() != null) {
                    throw new AssertionError("more than one JSON value: " + out);
                }
                return object;
            }
        }

        List<?> list(String field) {
            return (List<?>) json().get(field);
        }
    }

    String input = "";
    /** Standard input where it is no text. */
    byte[] bytes;
    Map<String, String> environment = Map.of();
    boolean inTerminal;
    boolean errTerminal;
    final Interrupts interrupts = new Interrupts();
    /** Called before the n-th write to standard output, n from 1. */
    IntConsumer beforeWrite = n -> {};
    /** The write to standard output that fails, and how. */
    int failingWrite = -1;
    String failure;

    static Result run(String... arguments) {
        return new Cli().launch(arguments);
    }

    Result launch(String... arguments) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        OutputStream watched = new OutputStream() {
            private int writes;

            @Override
            public void write(int b) {
                throw new AssertionError("bytes are written one by one");
            }

            @Override
            public void write(byte[] bytes, int from, int count) throws IOException {
                writes++;
                beforeWrite.accept(writes);
                if (writes == failingWrite) {
                    throw new IOException(failure);
                }
                out.write(bytes, from, count);
            }
        };
        Terminal terminal =
                new Terminal(new ByteArrayInputStream(bytes != null ? bytes : input.getBytes(StandardCharsets.UTF_8)),
                        new Output(watched, "standard output"),
                        new Output(err, "standard error"), inTerminal, false, errTerminal, environment, interrupts);
        int exit = Main.run(terminal, arguments);
        return new Result(exit, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
    }

    private static Object value(JsonParser parser) {
        return switch (parser.currentToken()) {
            case START_OBJECT -> {
                Map<String, Object> object = new LinkedHashMap<>();
                while (parser.nextToken() != JsonToken.END_OBJECT) {
                    String name = parser.currentName();
                    parser.nextToken();
                    object.put(name, value(parser));
                }
                yield object;
            }
            case START_ARRAY -> {
                List<Object> array = new ArrayList<>();
                while (parser.nextToken() != JsonToken.END_ARRAY) {
                    array.add(value(parser));
                }
                yield array;
            }
            case VALUE_NUMBER_INT -> parser.getLongValue();
            case VALUE_NUMBER_FLOAT -> parser.getDoubleValue();
            case VALUE_TRUE -> true;
            case VALUE_FALSE -> false;
            case VALUE_NULL -> null;
            default -> parser.getString();
        };
    }
}
