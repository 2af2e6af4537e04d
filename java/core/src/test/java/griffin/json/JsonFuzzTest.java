package griffin.json;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.error.ModelFormatException;
import java.io.ByteArrayOutputStream;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.exc.StreamReadException;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.core.json.JsonWriteFeature;

/** Our reader against Jackson: the same trees from valid documents, and from damaged ones the same verdict, but where we say why not. */
class JsonFuzzTest {

    private static final long SEED = Long.getLong("griffin.fuzz.seed", 42);
    private static final int DOCUMENTS = 3_000;
    private static final int MUTANTS_EACH = 10;
    private static final JsonFactory JACKSON = JsonFactory.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();
    private static final JsonFactory ESCAPING = JsonFactory.builder().enable(JsonWriteFeature.ESCAPE_NON_ASCII).build();
    /** What Jackson lets pass and we refuse: text that is none, and numbers that no double holds or that are absurdly long. */
    private static final List<String> STRICTER = List.of("surrogate pair", "expected UTF-8", "range of a double", "at most 64 characters");
    private static final List<String> DAMAGE = List.of("\"", "{", "}", "[", "]", ",", ":", "-", "0", "1e999", ".", "e", "null", "true",
            "\\u00e9", "\\ud800", "\\ud83d\\ude00", "\\", "\n", "\u0001", "\u00e9", "\ud83d\ude00", "9".repeat(20), " ", "/**/",
            "\"a\":1,");

    private final SplittableRandom random = new SplittableRandom(SEED);
    private int accepted;
    private int refused;

    @Test
    void validDocumentsGiveJacksonsTree() {
        for (int i = 0; i < DOCUMENTS; i++) {
            byte[] json = document();
            assertEquals(byJackson(json), Json.tree(json, "f"), () -> describe(json));
        }
    }

    @Test
    void damagedDocumentsGetJacksonsVerdict() {
        for (int i = 0; i < DOCUMENTS; i++) {
            byte[] json = document();
            for (int k = 0; k < MUTANTS_EACH; k++) {
                compare(damage(json));
            }
        }
        assertTrue(accepted > DOCUMENTS && refused > DOCUMENTS, accepted + " accepted, " + refused + " refused");
    }

    private void compare(byte[] json) {
        Object ours;
        try {
            ours = Json.tree(json, "f");
        } catch (ModelFormatException e) {
            refused++;
            boolean stricter = STRICTER.stream().anyMatch(e.getMessage()::contains);
            assertTrue(stricter || refusedByJackson(json), () -> e.getMessage() + " in " + describe(json));
            return;
        }
        accepted++;
        assertEquals(byJackson(json), ours, () -> describe(json));
    }

    private static boolean refusedByJackson(byte[] json) {
        try {
            byJackson(json);
            return false;
        } catch (JacksonException e) {
            return true;
        }
    }

    private static String describe(byte[] json) {
        return "seed " + SEED + " (-Dgriffin.fuzz.seed): " + new String(json, StandardCharsets.UTF_8);
    }

    private static Object byJackson(byte[] json) {
        try (JsonParser parser = JACKSON.createParser(ObjectReadContext.empty(), json)) {
            Object tree = value(parser, parser.nextToken());
            if (parser.nextToken() != null) {
                throw new StreamReadException(parser, "more than one value");
            }
            return tree;
        }
    }

    private static Object value(JsonParser parser, JsonToken token) {
        if (token == null) {
            throw new StreamReadException(parser, "no value");
        }
        return switch (token) {
            case START_OBJECT -> {
                Map<String, Object> members = new LinkedHashMap<>();
                while (parser.nextToken() != JsonToken.END_OBJECT) {
                    members.put(parser.currentName(), value(parser, parser.nextToken()));
                }
                yield members;
            }
            case START_ARRAY -> {
                List<Object> elements = new ArrayList<>();
                for (JsonToken next = parser.nextToken(); next != JsonToken.END_ARRAY; next = parser.nextToken()) {
                    elements.add(value(parser, next));
                }
                yield elements;
            }
            case VALUE_STRING -> parser.getString();
            case VALUE_NUMBER_INT -> parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER
                    ? (Object) parser.getDoubleValue() : (Object) parser.getLongValue();
            case VALUE_NUMBER_FLOAT -> parser.getDoubleValue();
            case VALUE_TRUE -> true;
            case VALUE_FALSE -> false;
            case VALUE_NULL -> null;
            default -> throw new AssertionError(token);
        };
    }

    private byte[] document() {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (JsonGenerator json = (random.nextBoolean() ? JACKSON : ESCAPING).createGenerator(ObjectWriteContext.empty(), out)) {
            write(json, 5);
        }
        return random.nextBoolean() ? out.toByteArray() : spaced(out.toByteArray());
    }

    /** With white space wherever a bracket, colon or comma stands outside of strings. */
    private byte[] spaced(byte[] json) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        boolean inString = false;
        for (int i = 0; i < json.length; i++) {
            inString ^= json[i] == '"' && !escaped(json, i);
            out.write(json[i]);
            if (!inString && "{}[],:\"".indexOf(json[i]) >= 0) {
                out.writeBytes(" \n\r\t".substring(random.nextInt(5)).getBytes(StandardCharsets.UTF_8));
            }
        }
        return out.toByteArray();
    }

    private static boolean escaped(byte[] json, int at) {
        int backslashes = 0;
        while (at - backslashes > 0 && json[at - backslashes - 1] == '\\') {
            backslashes++;
        }
        return backslashes % 2 == 1;
    }

    private void write(JsonGenerator json, int depth) {
        switch (random.nextInt(depth > 0 ? 10 : 8)) {
            case 0 -> json.writeString(text());
            case 1 -> json.writeNumber(random.nextLong() >> random.nextInt(64));
            case 2 -> json.writeNumber(Double.longBitsToDouble(random.nextLong() & ~(1L << 62)));
            case 3 -> json.writeNumber(random.nextInt(-1000, 1000) / 8.0);
            case 4 -> json.writeNumber(BigInteger.valueOf(random.nextLong()).pow(random.nextInt(1, 4)));
            case 5 -> json.writeBoolean(random.nextBoolean());
            case 6 -> json.writeNull();
            case 7 -> json.writeNumber(List.of("-0", "-0.0", "1E5", "1e-400", "0e0", "123456789.125e-3").get(random.nextInt(6)));
            case 8 -> {
                json.writeStartArray();
                for (int n = random.nextInt(5); n > 0; n--) {
                    write(json, depth - 1);
                }
                json.writeEndArray();
            }
            default -> {
                json.writeStartObject();
                for (int n = random.nextInt(5); n > 0; n--) {
                    json.writeName(n + text());
                    write(json, depth - 1);
                }
                json.writeEndObject();
            }
        }
    }

    /** Characters of every UTF-8 length and all that need an escape, no half surrogate pairs. */
    private String text() {
        StringBuilder text = new StringBuilder();
        for (int n = random.nextInt(random.nextInt(20) == 0 ? 400 : 8); n > 0; n--) {
            int most = List.of(0x20, 0x80, 0x80, 0x800, 0x10000, 0x110000).get(random.nextInt(6));
            int c = random.nextInt(most);
            text.appendCodePoint(c >= 0xD800 && c < 0xE000 ? '\\' : c);
        }
        return text.toString();
    }

    private byte[] damage(byte[] json) {
        int at = random.nextInt(json.length);
        int to = random.nextInt(3) == 0 ? at : Math.min(json.length, at + random.nextInt(1, 4));
        byte[] by = switch (random.nextInt(5)) {
            case 0 -> new byte[0];
            // No byte 0: from its place among the first four Jackson would guess that the document is UTF-16 or UTF-32.
            case 1 -> new byte[] {(byte) random.nextInt(1, 256)};
            case 2 -> Arrays.copyOfRange(json, at, Math.min(json.length, at + random.nextInt(20)));
            default -> DAMAGE.get(random.nextInt(DAMAGE.size())).getBytes(StandardCharsets.UTF_8);
        };
        byte[] damaged = Arrays.copyOf(json, at + by.length + json.length - to);
        System.arraycopy(by, 0, damaged, at, by.length);
        System.arraycopy(json, to, damaged, at + by.length, json.length - to);
        return damaged;
    }
}
