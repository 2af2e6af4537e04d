package griffin.benchmarks.gpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.json.Json;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** All of the report that needs no GPU. */
class ReportTest {

    @TempDir
    Path folder;

    private static Bar bar(String card, String size, String row) {
        return Bars.of(card, size, row).orElseThrow();
    }

    @Test
    void barsFollowCardAndSize() {
        assertEquals(Bar.atLeast(0.70, 0.75), bar("NVIDIA H100 80GB HBM3", "2b", Bars.DECODE_SHORT));
        assertEquals(Bar.atLeast(0.79, 0.83), bar("NVIDIA H200", "9b", Bars.DECODE_LONG));
        assertEquals(Bar.atLeast(0.62, 0.70), bar("NVIDIA H200", "9b", Bars.PREFILL_SHORT));
        assertEquals(Bar.atLeast(0.60, 0.75), bar("NVIDIA L4", "9b", Bars.DECODE_32));
        assertTrue(Bars.of("NVIDIA L4", "2b", Bars.DECODE_SHORT).isEmpty(), "no bar was set for other cards");
        assertTrue(Bars.of("NVIDIA H100", "9b", Bars.FIRST_TOKEN).isEmpty(), "set for 2B alone");
    }

    @Test
    void sharesAndValuesAreJudged() {
        assertTrue(Row.ofBytes("a", 400, "tok/s", 5e9, 0.70, "read", Bar.atLeast(0.70, 0.75)).passes());
        assertTrue(Row.ofBytes("a", 400, "tok/s", 5e9, 0.69, "read", Bar.atLeast(0.70, 0.75)).fails());
        assertTrue(Row.of("a", 14.9, "ms", Bar.atMost(15, 8)).passes());
        assertTrue(Row.of("a", 15.1, "ms", Bar.atMost(15, 8)).fails());
        Row unmeasured = Row.ofFlops("a", 3, "ms", 1e12, Double.NaN, "matrix", Bar.atLeast(0.5, 0.6));
        assertTrue(unmeasured.fails(), "a share of an unknown ceiling passes nothing");
        Row free = Row.of("a", 3, "ms", null);
        assertFalse(free.passes() || free.fails());
    }

    @Test
    void reportIsJson() throws Exception {
        ReportFile file = new ReportFile(folder.resolve("new/out"), "NVIDIA \"H100\"", "13.0");
        file.ceiling(Report.READ, 3.1e12);
        file.ceiling(Report.MATRIX, Double.NaN);
        file.add(Row.ofBytes("2b decode", 420.5, "tok/s", 5.37e9, 0.73, Report.READ, Bar.atLeast(0.7, 0.75)));
        file.add(Row.of("2b first token", 16, "ms", Bar.atMost(15, Double.NaN)));
        file.note("a \\ and\na line");
        file.write();
        byte[] written = Files.readAllBytes(folder.resolve("new/out").resolve(ReportFile.NAME));
        Map<?, ?> root = (Map<?, ?>) Json.tree(written, "report.json");
        assertEquals("NVIDIA \"H100\"", root.get("card"));
        Map<?, ?> ceilings = (Map<?, ?>) root.get("ceilings");
        assertEquals(3.1e12, ((Number) ceilings.get("read")).doubleValue());
        assertTrue(ceilings.containsKey("matrix") && ceilings.get("matrix") == null);
        Map<?, ?> first = (Map<?, ?>) ((List<?>) root.get("rows")).get(0);
        assertEquals(List.of("name", "value", "unit", "bytes", "flops", "share", "of", "bar", "aim", "pass"), List.copyOf(first.keySet()));
        assertEquals(0.73, first.get("share"));
        assertEquals(true, first.get("pass"));
        assertEquals(null, first.get("flops"));
        Map<?, ?> second = (Map<?, ?>) ((List<?>) root.get("rows")).get(1);
        assertEquals(false, second.get("pass"));
        assertEquals(null, second.get("aim"));
        assertEquals(List.of("a \\ and\na line"), root.get("notes"));
    }

    @Test
    void tableShowsWhatMissesItsBar() {
        String line = ReportFile.line(Row.ofBytes("2b decode", 420.5, "tok/s", 5.37e9, 0.651, "read", Bar.atLeast(0.7, 0.75)));
        assertTrue(line.matches("2b decode +420\\.50 tok/s +0\\.651 of read +0\\.7 +NO"), line);
        String free = ReportFile.line(Row.of("x", 1, "ms", null));
        assertTrue(free.matches("x +1\\.00 ms"), free);
    }

    @Test
    void options() {
        ReportOptions o = ReportOptions.parse("--out", "x", "--part", "decode", "--part", "prefill", "--model-size", "9b");
        assertTrue(o.decode && o.prefill && !o.peers && !o.soak && !o.everything);
        assertEquals("9b", o.size);
        ReportOptions all = ReportOptions.parse("--out", "x");
        assertTrue(all.decode && all.prefill && all.peers && all.soak && all.everything);
        for (List<String> wrong : List.of(List.<String>of(), List.of("--out"), List.of("--out", "x", "--part", "dec"),
                List.of("--out", "x", "--runs", "0"), List.of("--out", "x", "--runs", "five"), List.of("--outt", "x"))) {
            assertThrows(IllegalArgumentException.class, () -> ReportOptions.parse(wrong.toArray(String[]::new)));
        }
    }

    @Test
    void peersGiveWhatTheyFinished() {
        Peers peers = Peers.parse("""
                {"gpu": "x", "ceilings": {"read_TBps": 3.0, "matmul_8192_bf16_TFLOPs": 700},
                 "hf_2b": {"decode_b1": {"tokens_per_s": 33.5}, "decode_b8": "failed: OOM"}, "hf_2b_compiled": {"skipped": "deadline"}}
                """.getBytes(StandardCharsets.UTF_8), "baseline.json");
        assertEquals(33.5, peers.number("hf_2b", "decode_b1", "tokens_per_s").orElseThrow());
        assertEquals(OptionalDouble.empty(), peers.number("hf_2b", "decode_b8", "tokens_per_s"));
        assertEquals(OptionalDouble.empty(), peers.number("hf_2b_compiled", "decode_b1", "tokens_per_s"));
        assertEquals(3e12, peers.readBytesPerSecond().orElseThrow());
        assertEquals(OptionalDouble.empty(), peers.copyBytesPerSecond());
        assertEquals(3e12, Report.higher(2.9e12, peers.readBytesPerSecond()));
        assertEquals(3.1e12, Report.higher(3.1e12, peers.readBytesPerSecond()));
        assertEquals(7e14, Report.higher(Double.NaN, peers.matrixOperationsPerSecond()));
        assertTrue(Peers.missing(folder.resolve("none.py")).contains("--peers-script"));
    }

    @Test
    void mediansLeaveTheWarmUpOut() {
        double[] next = {1000, 3, 1, 2};
        int[] at = {0};
        assertEquals(2, SingleRuns.median(3, () -> next[at[0]++]));
        assertEquals(4, at[0]);
    }

    @Test
    void exitStatus() {
        assertEquals(0, Report.run("--help"));
        assertEquals(2, Report.run("--out", folder.toString(), "--part", "nothing"));
        assertEquals(1, Report.run("--out", folder.toString(), "--device", "97"), "no machine has that many GPUs");
    }
}
