package griffin.weights;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.backend.DType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsWriterTest {

    @TempDir
    private Path temp;

    @Test
    void whatIsWrittenIsReadBack() throws IOException {
        SplittableRandom random = new SplittableRandom(5);
        float[] rows = random.doubles(700_000, -100, 100).collect(() -> new FloatList(700_000), FloatList::add, (a, b) -> {
        }).values;
        try (SafetensorsWriter writer = new SafetensorsWriter(temp.resolve("x.safetensors"))) {
            writer.declare("logits", DType.F32, 700, 1000).declare("empty", DType.F32, 0).declare("b", DType.BF16, 2, 2)
                    .declare("h", DType.F16, 1).declare("odd \"name\"\n", DType.I32, 2);
            for (int row = 0; row < 700; row++) {
                writer.write(rows, row * 1000, 1000);
            }
            writer.write(new float[] {1.00390625f, 1.01171875f, Float.NaN, -2}, 0, 4);
            writer.write(new float[] {0.1f}, 0, 1);
            writer.write(new int[] {3, -4});
            writer.finish();
        }
        Safetensors file = Safetensors.open(ModelFiles.of(temp), "x.safetensors", Arena.ofAuto());
        Tensor logits = file.find("logits").orElseThrow();
        assertArrayEquals(new long[] {700, 1000}, logits.shape());
        for (int i = 0; i < rows.length; i++) {
            assertEquals(rows[i], logits.get(i));
        }
        Tensor b = file.find("b").orElseThrow();
        assertEquals(1, b.get(0), "a tie rounds to even");
        assertEquals(1.015625f, b.get(1), "a tie rounds to even");
        assertTrue(Float.isNaN(b.get(2)));
        assertEquals(0.1f, file.find("h").orElseThrow().get(0), 1e-4);
        assertEquals(-4, file.find("odd \"name\"\n").orElseThrow().getInt(1));
        assertEquals(List.of("x.safetensors"), list());
    }

    private static final class FloatList {
        private final float[] values;
        private int size;

        FloatList(int size) {
            values = new float[size];
        }

        void add(double value) {
            values[size++] = (float) value;
        }
    }

    @Test
    void rawBytesMayCrossTensors() {
        try (SafetensorsWriter writer = new SafetensorsWriter(temp.resolve("x.safetensors"))) {
            writer.declare("a", DType.BF16, 1).declare("b", DType.F32, 1).write(MemorySegment.ofArray(new byte[] {0, 64, 0, 0, 64, 64}));
            writer.finish();
        }
        Safetensors file = Safetensors.open(ModelFiles.of(temp), "x.safetensors", Arena.ofAuto());
        assertEquals(2, file.find("a").orElseThrow().get(0));
        assertEquals(3, file.find("b").orElseThrow().get(0));
    }

    @Test
    void anAbandonedFileLeavesTheOldOne() throws IOException {
        Path target = temp.resolve("x.safetensors");
        Files.writeString(target, "old");
        try (SafetensorsWriter writer = new SafetensorsWriter(target)) {
            writer.declare("a", DType.F32, 2).write(new float[] {1}, 0, 1);
            assertThrows(IllegalStateException.class, writer::finish, "one element is missing");
        }
        assertEquals("old", Files.readString(target));
        assertEquals(List.of("x.safetensors"), list());
    }

    @Test
    void misuseIsRefused() {
        try (SafetensorsWriter writer = new SafetensorsWriter(temp.resolve("x.safetensors"))) {
            writer.declare("a", DType.F32, 1);
            assertThrows(IllegalArgumentException.class, () -> writer.declare("a", DType.F32, 1));
            assertThrows(ArithmeticException.class, () -> writer.declare("b", DType.F32, 1L << 40, 1L << 40));
            assertThrows(IllegalStateException.class, () -> writer.write(new float[2], 0, 2));
            assertThrows(IllegalStateException.class, () -> writer.declare("c", DType.F32, 1));
            writer.finish();
        }
        assertThrows(UncheckedIOException.class, () -> new SafetensorsWriter(temp.resolve("absent/x.safetensors")).close());
    }

    private List<String> list() throws IOException {
        try (Stream<Path> files = Files.list(temp)) {
            return files.map(p -> p.getFileName().toString()).toList();
        }
    }
}
