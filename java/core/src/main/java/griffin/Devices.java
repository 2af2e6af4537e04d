package griffin;

import griffin.backend.Backend;
import griffin.backend.cpu.CpuBackend;
import griffin.backend.reference.ReferenceBackend;
import griffin.error.BackendUnavailableException;
import griffin.error.InvalidRequestException;
import java.util.List;

/** The devices of this machine, and the choice among them by the word after {@code --device}. */
public final class Devices {

    /**
     * A backend and why it was taken.
     *
     * @param backend to be closed by whoever asked
     * @param reason  one sentence, worth printing when the choice was automatic
     */
    record Choice(Backend backend, String reason) {}

    /**
     * One kind of device as found on this machine.
     *
     * @param kind      the word after {@code --device}
     * @param available whether it can be used
     * @param detail    what it is, or why it cannot be used
     */
    public record Found(String kind, boolean available, String detail) {}

    private Devices() {}

    /**
     * Opens a device: {@code auto}, {@code cpu}, {@code cuda}, {@code metal}, or {@code reference} (slow: the specification).
     *
     * @param threads threads of the CPU backend; 0 for all cores
     * @throws BackendUnavailableException when the named device cannot be used here
     * @throws InvalidRequestException     when there is no device of that name
     */
    static Choice open(String device, int threads) {
        return switch (device) {
            case "auto" -> {
                Backend cpu = cpu(threads);
                yield new Choice(cpu, "device: cpu (" + cpu.device().name() + "), since neither CUDA nor Metal is built yet");
            }
            case "cpu" -> new Choice(cpu(threads), "device: cpu, as asked");
            case "reference" -> new Choice(new ReferenceBackend(), "device: reference, as asked");
            case "cuda", "metal" -> throw new BackendUnavailableException(
                    "--device " + device + ": the " + name(device) + " backend is not built yet; use --device cpu or leave the option out");
            default -> throw new InvalidRequestException("there is no device '" + device + "': use auto, cpu, cuda, metal or reference");
        };
    }

    private static Backend cpu(int threads) {
        return threads == 0 ? new CpuBackend() : new CpuBackend(threads);
    }

    private static String name(String device) {
        return device.equals("cuda") ? "CUDA" : "Metal";
    }

    /** What this machine has, in the order of preference of {@code auto}. */
    public static List<Found> find() {
        try (Backend cpu = new CpuBackend()) {
            return List.of(new Found("cuda", false, "the CUDA backend is not built yet"),
                    new Found("metal", false, "the Metal backend is not built yet"), new Found("cpu", true, cpu.device().name()),
                    new Found("reference", true, "plain Java loops: the specification, for comparisons"));
        }
    }
}
