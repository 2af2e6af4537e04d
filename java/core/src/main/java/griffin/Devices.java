package griffin;

import griffin.backend.Backend;
import griffin.backend.BackendProvider;
import griffin.backend.DType;
import griffin.backend.cpu.CpuBackend;
import griffin.backend.reference.ReferenceBackend;
import griffin.error.BackendUnavailableException;
import griffin.error.DeviceException;
import griffin.error.DeviceMemoryException;
import griffin.error.InvalidRequestException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

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
     * One device as found on this machine.
     *
     * @param kind      the word after {@code --device}
     * @param available whether it can be used
     * @param detail    what it is, or why it cannot be used
     */
    public record Found(String kind, boolean available, String detail) {}

    /** In the order of preference of {@code auto}, before the CPU. */
    private static final List<String> ACCELERATORS = List.of("cuda", "metal");
    private static final Pattern ACCELERATOR = Pattern.compile("(cuda|metal)(?::(\\d{1,4}))?");

    private Devices() {}

    /**
     * Opens a device: {@code auto}, {@code cpu}, {@code cuda}, {@code cuda:1}, {@code metal}, or {@code reference} (slow: the
     * specification).
     *
     * @param threads  threads of the CPU backend; 0 for all cores
     * @param operands operand type of a GPU
     * @param notices  receives what a backend has to say at once
     * @throws BackendUnavailableException when the named device cannot be used here
     * @throws InvalidRequestException     when there is no device of that name
     */
    static Choice open(String device, int threads, DType operands, Consumer<String> notices) {
        switch (device) {
            case "auto" -> {
                return automatic(threads, operands, notices);
            }
            case "cpu" -> {
                return new Choice(cpu(threads), "device: cpu, as asked");
            }
            case "reference" -> {
                return new Choice(new ReferenceBackend(), "device: reference, as asked");
            }
            default -> {
                Matcher named = ACCELERATOR.matcher(device);
                if (!named.matches()) {
                    throw new InvalidRequestException(
                            "--device: there is no device '" + device + "', use auto, cpu, cuda, cuda:1, metal or reference");
                }
                BackendProvider provider = provider(named.group(1)).orElseThrow(() -> new BackendUnavailableException(
                        "--device " + device + ": " + absent(named.group(1)) + "; use --device cpu or leave the option out"));
                int index = named.group(2) == null ? firstUsable(provider) : Integer.parseInt(named.group(2));
                return new Choice(open(provider, device, new BackendProvider.Options(index, operands, notices)),
                        "device: " + device + ", as asked");
            }
        }
    }

    /** As asked; where it cannot be used, the message begins with what was asked for. */
    private static Backend open(BackendProvider provider, String device, BackendProvider.Options options) {
        try {
            return provider.open(options);
        } catch (BackendUnavailableException e) {
            throw e.getMessage().startsWith("--device ") ? e
                    : new BackendUnavailableException("--device " + device + ": " + e.getMessage(), e);
        }
    }

    private static Choice automatic(int threads, DType operands, Consumer<String> notices) {
        List<String> reasons = new ArrayList<>();
        for (String kind : ACCELERATORS) {
            Optional<BackendProvider> provider = provider(kind);
            if (provider.isEmpty()) {
                reasons.add(absent(kind));
                continue;
            }
            for (BackendProvider.Found found : provider.get().probe()) {
                if (found.index() < 0) {
                    reasons.add("no " + kind.toUpperCase(Locale.ROOT) + " device was found (griffin-run devices says why)");
                    continue;
                }
                if (!found.usable()) {
                    passOver(name(kind, found), found.detail(), reasons, notices);
                    continue;
                }
                try {
                    Backend backend = provider.get().open(new BackendProvider.Options(found.index(), operands, notices));
                    return new Choice(backend,
                            "device: " + name(kind, found) + " (" + backend.device().name() + "), the first that can be used");
                } catch (BackendUnavailableException | DeviceException | DeviceMemoryException e) {
                    passOver(name(kind, found), e.getMessage(), reasons, notices);
                }
            }
        }
        Backend cpu = cpu(threads);
        return new Choice(cpu, "device: cpu (" + cpu.device().name() + "), since " + String.join("; ", reasons));
    }

    /** A device that is there but cannot be used is worth a word: its owner expects it to be used. */
    private static void passOver(String device, String why, List<String> reasons, Consumer<String> notices) {
        reasons.add(why);
        notices.accept(device + " is not used: " + why);
    }

    /** The number to open where none was given: of the first usable device, else of the first, whose opening says what is wrong. */
    private static int firstUsable(BackendProvider provider) {
        return provider.probe().stream().filter(BackendProvider.Found::usable).mapToInt(BackendProvider.Found::index).findFirst().orElse(0);
    }

    private static Backend cpu(int threads) {
        return threads == 0 ? new CpuBackend() : new CpuBackend(threads);
    }

    private static Optional<BackendProvider> provider(String kind) {
        return ServiceLoader.load(BackendProvider.class).stream().map(ServiceLoader.Provider::get)
                .filter(provider -> provider.kind().equals(kind)).findFirst();
    }

    private static String absent(String kind) {
        return kind.equals("cuda") ? "the CUDA backend (griffin-cuda) is not on the class or module path"
                : "the Metal backend is not built yet";
    }

    private static String name(String kind, BackendProvider.Found found) {
        return found.index() < 0 ? kind : kind + ":" + found.index();
    }

    /** What this machine has, in the order of preference of {@code auto}. */
    public static List<Found> find() {
        List<Found> all = new ArrayList<>();
        for (String kind : ACCELERATORS) {
            provider(kind).ifPresentOrElse(
                    provider -> provider.probe().forEach(found -> all.add(new Found(name(kind, found), found.usable(), found.detail()))),
                    () -> all.add(new Found(kind, false, absent(kind))));
        }
        try (Backend cpu = new CpuBackend()) {
            all.add(new Found("cpu", true, cpu.device().name()));
        }
        all.add(new Found("reference", true, "plain Java loops: the specification, for comparisons"));
        return List.copyOf(all);
    }
}
