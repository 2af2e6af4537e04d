package griffin.json;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import griffin.error.ModelFormatException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class JsonScannerTest {

    @Test
    void everyKindOfValueIsRead() {
        assertEquals(Map.of("a", Arrays.asList(1L, -2.5, 1e3, true, false, null, "x"), "b", Map.of(), "c", List.of()),
                tree(" {\"a\" : [1, -2.5,1E+3,true,false,null,\"x\"],\t\"b\":{ },\r\n\"c\":[ ]}"));
        assertEquals(Long.MIN_VALUE, tree("-9223372036854775808"));
        assertEquals(0L, tree("0"));
    }

    @Test
    void stringsAreUnescapedAndDecoded() {
        assertEquals("\"\\/\b\f\n\r\t\u00e9", tree("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00E9\""));
        assertEquals("\uD83D\uDC3B\uD83D\uDC3B\u2581\u00FF", tree("\"\uD83D\uDC3B\\ud83d\\uDC3B\u2581\u00FF\""));
        String everything = new StringBuilder().appendCodePoint(0x80).appendCodePoint(0x7FF).appendCodePoint(0x800).appendCodePoint(0xFFFF)
                .appendCodePoint(0x10000).appendCodePoint(0x10FFFF).toString().repeat(1_000);
        assertEquals(everything, tree("\"" + everything + "\""));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "[", "[1", "[1,", "[1,]", "[,1]", "{", "{1:2}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":1 \"b\":2}",
        "tru", "nul", "True", "01", "-", "+1", "1.", ".5", "1e", "0x1", "NaN", "--1", "\"",
        "\"a", "\"\\x\"", "\"\\u12\"",
        "\"\\u12G4\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\n\"", "\"\\", "\"\\u", "'a'", "{\"a\":1,\"a\":2}"})
    void whatIsNotJsonIsRefused(String json) {
        assertThrows(ModelFormatException.class, () -> tree(json));
    }

    @Test
    void whatIsNotUtf8IsRefused() {
        for (int[] bad : new int[][] {{0x80}, {0xC0, 0x80}, {0xC1, 0xBF}, {0xC3}, {0xC3, 0x28}, {0xE0, 0x80, 0x80},
            {0xED, 0xA0, 0x80}, {0xE2, 0x82}, {0xF0, 0x80, 0x80, 0x80}, {0xF4, 0x90, 0x80, 0x80}, {0xF5, 0x80, 0x80, 0x80}, {0xFF}}) {
            byte[] json = new byte[bad.length + 2];
            json[0] = '"';
            for (int i = 0; i < bad.length; i++) {
                json[i + 1] = (byte) bad[i];
            }
            json[bad.length + 1] = '"';
            assertThrows(ModelFormatException.class, () -> Json.tree(json, "f"), Arrays.toString(bad));
        }
    }

    private static Object tree(String json) {
        return Json.tree(json.getBytes(StandardCharsets.UTF_8), "f");
    }
}
