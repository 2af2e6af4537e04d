package griffin.weights;

import static griffin.weights.Faults.assertFault;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
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
        JsonObject json = read("{'a':'x','n':null,'o':{'p':{'k':[]}},'d':1e999}");
        assertFault(() -> json.integer("a", 1, 9), "f.json", "'a'", "an integer from 1 to 9", "found \"x\"");
        assertFault(() -> json.integer("b", 1, 9), "f.json", "'b'", "missing");
        assertFault(() -> json.integer("n", 1, 9), "f.json", "'n'", "null");
        assertFault(() -> json.bool("a", true), "'a'", "true or false");
        assertFault(() -> json.list("a"), "'a'", "a list");
        assertFault(() -> json.object("a"), "'a'", "an object");
        assertFault(() -> json.number("d", 0, 0, 9), "'d'", "a number from 0.0 to 9.0", "Infinity");
        assertFault(() -> json.object("o").object("p").string("k"), "'o.p.k'", "a string", "found []");
        assertFault(() -> json.string("o"), "an object with 1 keys");
    }

    @Test
    void malformedText() {
        assertFault(() -> read(""), "f.json", "found nothing");
        assertFault(() -> read("{'a':1"), "f.json", "malformed", "line 1");
        assertFault(() -> read("{\n 'a':1,\n 'a':2}"), "f.json", "line 3", "duplicate key 'a'");
        assertFault(() -> read("{} {}"), "f.json", "after the end");
        assertFault(() -> read("'x'"), "f.json", "JSON object", "\"x\"");
        assertFault(() -> read("{'a':NaN}"), "f.json", "malformed");
        assertFault(() -> Json.object(new ByteArrayInputStream(new byte[] {'{', '"', (byte) 0xC3, '"'}), "f.json"), "f.json", "malformed");
    }

    @Test
    void limits() {
        assertFault(() -> read("{'a':" + "[".repeat(100) + "]".repeat(100) + "}"), "f.json", "nesting depth");
        assertFault(() -> read("{'a':" + "9".repeat(100) + "}"), "f.json", "Number value length");
        char[] key = new char[10_000];
        Arrays.fill(key, 'k');
        assertFault(() -> read("{'" + new String(key) + "':1}"), "f.json", "Name");
        assertFault(() -> read("{'a':'" + "s".repeat(1 << 21) + "'}"), "f.json", "String value length");
    }
}
