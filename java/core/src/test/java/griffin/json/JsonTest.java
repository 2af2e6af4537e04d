package griffin.json;

import static griffin.weights.Faults.assertFault;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class JsonTest {

    private static JsonObject read(String json) {
        return Json.object(json.replace('\'', '"'), "f.json");
    }

    @Test
    void everyKindOfValue() {
        JsonObject json = read("{'s':'x\\u00e9','i':7,'d':1.5,'t':true,'n':null,'l':[1,'a',[]],'o':{'k':2},'big':123456789012345678901}");
        assertEquals("x\u00e9", json.string("s"));
        assertEquals(7, json.integer("i", 0, 10));
        assertEquals(1.5, json.number("d", 0, 0, 2));
        assertEquals(7, json.number("i", 0, 0, 10));
        assertTrue(json.bool("t", false));
        assertNull(json.get("n"));
        assertEquals(4, json.integer("n", 4, 0, 10));
        assertEquals(List.of(1L, "a", List.of()), json.list("l"));
        assertEquals(2, json.object("o").integer("k", 0, 2));
        assertEquals(1.2345678901234568e20, json.get("big"));
        assertEquals(Map.of("k", 2L), json.get("o"));
    }

    @Test
    void wrongTypesNameFileKeyExpectedAndFound() {
        JsonObject json = read("{'a':'x','n':null,'o':{'p':{'k':[]}},'d':1e99}");
        assertFault(() -> json.integer("a", 1, 9), "f.json", "'a'", "an integer from 1 to 9", "found \"x\"");
        assertFault(() -> json.integer("b", 1, 9), "f.json", "'b'", "missing");
        assertFault(() -> json.integer("n", 1, 9), "f.json", "'n'", "null");
        assertFault(() -> json.bool("a", true), "'a'", "true or false");
        assertFault(() -> json.list("a"), "'a'", "a list");
        assertFault(() -> json.object("a"), "'a'", "an object");
        assertFault(() -> json.number("d", 0, 0, 9), "'d'", "a number from 0.0 to 9.0", "found 1.0E99");
        assertFault(() -> json.object("o").object("p").string("k"), "'o.p.k'", "a string", "found []");
        assertFault(() -> json.string("o"), "an object with 1 keys");
    }

    @Test
    void malformedText() {
        assertFault(() -> read(""), "f.json", "found nothing");
        assertFault(() -> read("{'a':1"), "f.json", "JSON, line 1 column 7", "expected ',' or '}'", "found the end", "complete?");
        assertFault(() -> read("{\n 'a':1,\n 'a':2}"), "f.json", "line 3 column 2", "duplicate key 'a'");
        assertFault(() -> read("{} {}"), "f.json", "line 1 column 4", "after the end", "found '{}'");
        assertFault(() -> read("'x'"), "f.json", "JSON object", "\"x\"");
        assertFault(() -> read("{'a':NaN}"), "f.json", "line 1 column 6", "expected a value", "'NaN}'");
        assertFault(() -> read("{'\u00e9':\n\ttru\u0001e}"), "line 2 column 2", "expected true", "'tru?e}'");
        assertFault(() -> Json.object(new byte[] {'{', '"', (byte) 0xC3, '"'}, "f.json"), "f.json", "line 1 column 3", "UTF-8");
    }

    @Test
    void numbers() {
        JsonObject json = read("{'a':[-0,-9223372036854775808,9223372036854775807,9223372036854775808,1.0,1E2,-2e-3,-0.0,1e-999]}");
        assertEquals(List.of(0L, Long.MIN_VALUE, Long.MAX_VALUE, 0x1p63, 1.0, 100.0, -0.002, -0.0, 0.0), json.list("a"));
        assertFault(() -> read("{'a':1e999}"), "f.json", "line 1 column 6", "the range of a double", "found 1e999");
        for (String bad : List.of("01", "-01", "00", "1.", ".5", "-", "+1", "1e", "1e+", "1.e1", "0x1", "1_0", "-.5", "\u0661")) {
            assertFault(() -> read("{'a':" + bad + "}"), "f.json", "JSON, line 1 column ");
        }
        assertFault(() -> read("{'a':01}"), "column 6", "expected a number as JSON writes it", "found '01}'");
    }

    @Test
    void files() {
        byte[] marked = "\uFEFF{\"a\":1}".getBytes(StandardCharsets.UTF_8);
        assertEquals(1, Json.object(new ByteArrayInputStream(marked), "f.json").integer("a", 1, 1));
        InputStream broken = new InputStream() {
            @Override
            public int read() throws IOException {
                throw new IOException("disk on fire");
            }
        };
        assertFault(() -> Json.object(broken, "f.json"), "f.json", "cannot be read", "disk on fire");
        InputStream endless = new InputStream() {
            @Override
            public int read() {
                return ' ';
            }

            @Override
            public int read(byte[] bytes, int from, int length) {
                Arrays.fill(bytes, from, from + length, (byte) ' ');
                return length;
            }
        };
        assertFault(() -> Json.object(endless, "f.json"), "f.json", "at most 100000000 bytes", "found more");
    }

    @Test
    void limits() {
        assertFault(() -> read("{'a':" + "[".repeat(100) + "]".repeat(100) + "}"), "f.json", "column 69", "at most 64 levels of nesting");
        assertFault(() -> read("{'a':" + "9".repeat(100) + "}"), "f.json", "a number of at most 64 characters", "found 100");
        char[] key = new char[10_000];
        Arrays.fill(key, 'k');
        assertFault(() -> read("{'" + new String(key) + "':1}"), "f.json", "column 2", "keys of at most 4096 characters", "found 10000");
        assertFault(() -> read("{'a':'" + "s".repeat(1 << 21) + "'}"), "f.json", "a string of at most 1048576 characters");
        assertFault(() -> read("{'a':[" + "[],".repeat(4_000_000) + "[]]}"), "f.json", "at most 4000000 values and keys");
    }
}
