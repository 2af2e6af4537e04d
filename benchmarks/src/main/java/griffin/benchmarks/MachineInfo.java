package griffin.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import jdk.incubator.vector.FloatVector;

/** What the numbers were measured on. */
final class MachineInfo {

    private MachineInfo() {}

    /** Processor, cores, vector width, Java. */
    static String line() {
        return cpu() + ", " + Runtime.getRuntime().availableProcessors() + " cores, " + FloatVector.SPECIES_PREFERRED.vectorBitSize()
                + "-bit vectors, " + System.getProperty("os.name") + " " + System.getProperty("os.arch") + ", Java "
                + Runtime.version();
    }

    private static String cpu() {
        try (Stream<String> lines = Files.lines(Path.of("/proc/cpuinfo"))) {
            return lines.filter(l -> l.startsWith("model name")).map(l -> l.substring(l.indexOf(':') + 1).strip()).findFirst()
                    .orElse("unnamed processor");
        } catch (IOException e) {
            return "unnamed processor";
        }
    }

    /** Resident memory of this process in bytes, or -1 where the system does not say. */
    static long residentBytes() {
        try (Stream<String> lines = Files.lines(Path.of("/proc/self/status"))) {
            return lines.filter(l -> l.startsWith("VmRSS")).mapToLong(l -> Long.parseLong(l.replaceAll("\\D", "")) * 1024).findFirst()
                    .orElse(-1);
        } catch (IOException e) {
            return -1;
        }
    }
}
