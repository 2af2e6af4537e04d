package griffin.weights;

import static griffin.weights.Faults.assertFault;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.backend.DType;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class SafetensorsTest {

    private static final String FILE = "memory/x.safetensors";

    private static Safetensors open(byte[] bytes) {
        return Safetensors.open(new MemoryFiles().put("x.safetensors", bytes), "x.safetensors", Arena.ofAuto());
    }

    private static Safetensors open(String header, int dataBytes) {
        return open(MemoryFiles.file(header.replace('\'', '"'), dataBytes));
    }

    private static String tensor(String dtype, String shape, long begin, long end) {
        return "{'dtype':'" + dtype + "','shape':" + shape + ",'data_offsets':[" + begin + "," + end + "]}";
    }

    @Test
    void readsEveryFloatTypeAndIntegers() {
        String header =
                "{'__metadata__':{'format':'pt'},'f':" + tensor("F32", "[2]", 0, 8) + ",'b':" + tensor("BF16", "[1,2]", 8, 12) + ",'h':"
                        + tensor("F16", "[1]", 12, 14) + ",'i':" + tensor("I32", "[1]", 14, 18) + ",'scalar':" + tensor("F32", "[]", 18, 22)
                        + ",'none':" + tensor("F32", "[0,7]", 22, 22) + "}";
        byte[] bytes = MemoryFiles.file(header.replace('\'', '"'), 22);
        ByteBuffer data = ByteBuffer.wrap(bytes, bytes.length - 22, 22).slice().order(ByteOrder.LITTLE_ENDIAN);
        data.putFloat(1.5f).putFloat(-3).putShort(BFloat16.of(2.5f)).putShort(BFloat16.of(-0.125f)).putShort(Float.floatToFloat16(0.75f));
        data.putInt(-7).putFloat(9);
        Safetensors file = open(bytes);
        assertEquals(Map.of("format", "pt"), file.metadata());
        assertEquals(List.of("f", "b", "h", "i", "scalar", "none"), List.copyOf(file.names()));
        Tensor b = file.find("b").orElseThrow();
        assertArrayEquals(new long[] {1, 2}, b.shape());
        assertEquals(DType.BF16, b.dtype());
        assertEquals(-3, file.find("f").orElseThrow().get(1));
        assertEquals(2.5f, b.get(0));
        assertEquals(-0.125f, b.get(1));
        assertEquals(0.75f, file.find("h").orElseThrow().get(0));
        assertEquals(-7, file.find("i").orElseThrow().getInt(0));
        assertEquals(9, file.find("scalar").orElseThrow().get(0));
        assertEquals(0, file.find("none").orElseThrow().elements());
        assertTrue(file.find("absent").isEmpty());
        assertFault(() -> file.find("i").orElseThrow().get(0), FILE, "'i'", "F32, BF16 or F16", "found I32");
        assertFault(() -> b.getInt(0), FILE, "'b'", "I32", "found BF16");
    }

    @Test
    void truncatedFiles() {
        assertFault(() -> open(new byte[5]), FILE, "truncated", "at least 8 bytes", "found 5");
        assertFault(() -> open(new byte[0]), FILE, "truncated", "found 0");
        byte[] whole = MemoryFiles.file("{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", 16);
        assertFault(() -> open(Arrays.copyOf(whole, whole.length - 3)), FILE, "'a'", "0 to 16", "13 data bytes", "truncated");
        assertFault(() -> open(Arrays.copyOf(whole, 20)), FILE, "truncated", "at most 12", "found 55");
    }

    @Test
    void absurdHeaderLengthsAreRefusedBeforeAllocation() {
        for (long length : new long[] {Long.MAX_VALUE, -1, 100_000_001, 1L << 33, 0}) {
            byte[] bytes = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN).putLong(length).array();
            assertFault(() -> open(bytes), FILE, "header length expected from 2 to 100000000", "found " + Long.toUnsignedString(length));
        }
        byte[] beyond = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN).putLong(99_999_999).array();
        assertFault(() -> open(beyond), FILE, "at most 56", "found 99999999");
    }

    @Test
    void gitLfsPointer() {
        assertFault(() -> open("version https://git-lfs.github.com/spec/v1\noid sha256:00\n".getBytes()), FILE, "Git LFS pointer",
                "git lfs pull");
    }

    @Test
    void malformedHeaders() {
        assertFault(() -> open("{'a':", 0), FILE, "(header)", "JSON, line 1 column 6", "expected a value");
        assertFault(() -> open("[1,2]", 0), FILE, "JSON object", "[1, 2]");
        assertFault(() -> open("{'a':7}", 0), FILE, "'a'", "an object", "found 7");
        assertFault(() -> open("{'a':{'shape':[],'data_offsets':[0,4]}}", 4), FILE, "'a.dtype'", "missing");
        assertFault(() -> open("{'a':" + tensor("F32", "3", 0, 12) + "}", 12), FILE, "'a.shape'", "a list", "found 3");
        assertFault(() -> open("{'a':{'dtype':'F32','shape':[1],'data_offsets':[4]}}", 4), FILE, "'a.data_offsets'", "two offsets", "[4]");
        assertFault(() -> open("{'a':" + tensor("F32", "[1]", 8, 4) + "}", 8), FILE, "'a.data_offsets'", "in order", "[8, 4]");
        assertFault(() -> open("{'a':{'dtype':'F32','shape':[1.5],'data_offsets':[0,4]}}", 4), FILE, "'a.shape'", "integers", "[1.5]");
    }

    @Test
    void duplicateTensor() {
        String twice = "{'a':" + tensor("F32", "[1]", 0, 4) + ",'a':" + tensor("F32", "[1]", 4, 8) + "}";
        assertFault(() -> open(twice, 8), FILE, "duplicate", "'a'");
    }

    @Test
    void overlapsHolesAndRanges() {
        String overlap = "{'a':" + tensor("F32", "[2]", 0, 8) + ",'b':" + tensor("F32", "[2]", 4, 12) + "}";
        assertFault(() -> open(overlap, 12), FILE, "'b'", "overlaps", "'a'", "begin at 8", "found 4");
        String hole = "{'a':" + tensor("F32", "[1]", 0, 4) + ",'b':" + tensor("F32", "[1]", 8, 12) + "}";
        assertFault(() -> open(hole, 12), FILE, "'b'", "hole after", "'a'", "begin at 4", "found 8");
        assertFault(() -> open("{'a':" + tensor("F32", "[1]", 4, 8) + "}", 8), FILE, "'a'", "hole after the header", "begin at 0",
                "found 4");
        assertFault(() -> open("{'a':" + tensor("F32", "[1]", 0, 4) + "}", 9), FILE, "'a'", "at byte 4", "found 9",
                "5 bytes belong to no tensor");
        assertFault(() -> open("{}", 3), FILE, "found 3 bytes", "belong to no tensor");
        assertFault(() -> open("{'a':" + tensor("F32", "[2305843009213693951]", 0, 9223372036854775804L) + "}", 8), FILE, "'a'",
                "9223372036854775804", "8 data bytes");
    }

    @Test
    void sizesMustMatchShapes() {
        assertFault(() -> open("{'a':" + tensor("BF16", "[2,3]", 0, 24) + "}", 24), FILE, "'a'", "expected 12 bytes", "BF16 [2, 3]",
                "found 24");
        assertFault(() -> open("{'a':" + tensor("F32", "[-1]", 0, 4) + "}", 4), FILE, "'a.shape'", "[-1]");
        assertFault(() -> open("{'a':" + tensor("F32", "[4294967296,4294967296]", 0, 0) + "}", 0), FILE, "'a'", "[4294967296, 4294967296]",
                "absurd");
        assertFault(() -> open("{'a':" + tensor("F32", "[99999999999999999999]", 0, 4) + "}", 4), FILE, "'a.shape'", "1.0E20");
        assertFault(() -> open("{'a':" + tensor("F32", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", 0, 4) + "}", 4), FILE, "'a.shape'",
                "at most 16");
    }

    @Test
    void unknownTypeMattersOnlyWhenAskedFor() {
        Safetensors file = open("{'q':" + tensor("F8_E4M3", "[4]", 0, 4) + ",'a':" + tensor("F32", "[1]", 4, 8) + "}", 8);
        assertEquals(0, file.find("a").orElseThrow().get(0));
        assertFault(() -> file.find("q"), FILE, "'q'", "F32, BF16, F16 or I32", "found F8_E4M3");
    }
}
