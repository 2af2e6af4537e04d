package griffin.backend.cuda;

import griffin.backend.BackendProvider.Found;
import griffin.bindings.LibraryProbe;
import griffin.bindings.NativeLibraries;
import griffin.bindings.cuda.Cuda;
import griffin.error.BackendUnavailableException;
import griffin.error.DeviceException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/** The driver of this machine and its devices, before any is opened. */
final class CudaDriver {

    /** What the compiled kernels need: they are made by a CUDA 13.0 compiler. */
    static final int LEAST_DRIVER = 13000;
    /** Ampere: the first with cp.async and bf16 products. */
    static final int LEAST_CAPABILITY = 80;
    /** Programmatic dependent launch. */
    static final int HOPPER = 90;

    static final String REQUIREMENT = "Griffin's CUDA backend needs a driver of CUDA 13.0 or newer (version 580) and a card of compute "
            + "capability 8.0 or newer (A100, RTX 30 series)";

    /** Functions that drivers before CUDA 12 lack, and a sample of those that all have. */
    private static final List<String> FUNCTIONS = List.of("cuInit", "cuDriverGetVersion", "cuDeviceGetCount", "cuDevicePrimaryCtxRetain",
            "cuGraphInstantiateWithFlags", "cuStreamBeginCapture_v2", "cuLaunchKernelEx");

    /**
     * One device.
     *
     * @param index      as CUDA numbers them
     * @param name       the card's
     * @param capability ten times major plus minor: 90 is 9.0
     * @param processors streaming multiprocessors
     * @param sharedPerBlock most bytes of shared memory a block can ask for
     * @param sharedPerProcessor bytes of shared memory of a multiprocessor
     * @param memory     bytes in all
     */
    record Device(int index, String name, int capability, int processors, int sharedPerBlock, int sharedPerProcessor, long memory) {

        String describe() {
            return name + ", " + processors + " multiprocessors, compute capability " + capability / 10 + "." + capability % 10 + ", "
                    + (memory >> 20) + " MiB";
        }

        /** Threads that a multiprocessor holds at once: the cards of data centres have more. */
        int threadsPerProcessor() {
            return capability == 80 || capability / 10 == 9 || capability / 10 == 10 ? 2048 : 1536;
        }

        /** Whether kernels run in thread block clusters: on later cards than these they are PTX of 8.0, which has none. */
        boolean clusters() {
            return capability / 10 == 9 || capability / 10 == 10 || capability / 10 == 12;
        }

        boolean usable() {
            return capability >= LEAST_CAPABILITY;
        }
    }

    private CudaDriver() {}

    /**
     * All devices, usable or not.
     *
     * @throws BackendUnavailableException when there is no driver, it is too old, or it has no device
     */
    static List<Device> devices() {
        LibraryProbe probe = NativeLibraries.probeCuda();
        if (probe instanceof LibraryProbe.NotFound none) {
            throw new BackendUnavailableException("there is no NVIDIA driver (" + none.reasons()
                    + "); install one from your distribution or nvidia.com, or use --device cpu");
        }
        List<String> missing = probe.missing(FUNCTIONS);
        if (!missing.isEmpty()) {
            throw new BackendUnavailableException(
                    "the NVIDIA driver is too old: it lacks " + String.join(", ", missing) + ". " + REQUIREMENT + ": update the driver");
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment value = arena.allocate(ValueLayout.JAVA_LONG);
            int initialised = Cuda.cuInit(0);
            int version = Cuda.cuDriverGetVersion(value) == Cuda.CUDA_SUCCESS() ? value.get(ValueLayout.JAVA_INT, 0) : 0;
            if (version < LEAST_DRIVER) {
                throw new BackendUnavailableException("the NVIDIA driver is too old: it is one of CUDA " + version / 1000 + "."
                        + version % 1000 / 10 + ". " + REQUIREMENT + ": update the driver");
            }
            if (initialised == Cuda.CUDA_ERROR_NO_DEVICE()) {
                throw new BackendUnavailableException("the NVIDIA driver is there and has no device: " + noDevice());
            }
            if (initialised != Cuda.CUDA_SUCCESS()) {
                throw new BackendUnavailableException("the NVIDIA driver does not start: cuInit gave " + CudaErrors.text(initialised)
                        + "; a reboot after an update of the driver often helps");
            }
            CudaErrors.check(Cuda.cuDeviceGetCount(value), "cuDeviceGetCount");
            int count = value.get(ValueLayout.JAVA_INT, 0);
            if (count == 0) {
                throw new BackendUnavailableException("the NVIDIA driver is there and has no device: " + noDevice());
            }
            List<Device> all = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                all.add(device(i, arena, value));
            }
            return all;
        }
    }

    private static String noDevice() {
        String visible = System.getenv("CUDA_VISIBLE_DEVICES");
        return visible == null ? "check with nvidia-smi that the card is seen" : "CUDA_VISIBLE_DEVICES is '" + visible + "', unset it";
    }

    private static Device device(int index, Arena arena, MemorySegment value) {
        CudaErrors.check(Cuda.cuDeviceGet(value, index), "cuDeviceGet");
        int handle = value.get(ValueLayout.JAVA_INT, 0);
        MemorySegment name = arena.allocate(256);
        CudaErrors.check(Cuda.cuDeviceGetName(name, 256, handle), "cuDeviceGetName");
        CudaErrors.check(Cuda.cuDeviceTotalMem_v2(value, handle), "cuDeviceTotalMem");
        long memory = value.get(ValueLayout.JAVA_LONG, 0);
        int capability = 10 * attribute(handle, Cuda.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR(), value)
                + attribute(handle, Cuda.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR(), value);
        return new Device(index, name.getString(0), capability,
                attribute(handle, Cuda.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT(), value),
                attribute(handle, Cuda.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN(), value),
                attribute(handle, Cuda.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR(), value), memory);
    }

    private static int attribute(int device, int attribute, MemorySegment value) {
        CudaErrors.check(Cuda.cuDeviceGetAttribute(value, attribute, device), "cuDeviceGetAttribute");
        return value.get(ValueLayout.JAVA_INT, 0);
    }

    /** Every device with what it is or why it cannot be used; never throws. */
    static List<Found> find() {
        try {
            return devices().stream().map(device -> new Found(device.index(), device.usable(),
                    device.usable() ? device.describe() : device.describe() + ": too old. " + REQUIREMENT)).toList();
        } catch (BackendUnavailableException | DeviceException e) {
            return List.of(new Found(-1, false, e.getMessage()));
        }
    }

    /**
     * The device to open.
     *
     * @throws BackendUnavailableException when there is none of that number, or it is too old
     */
    static Device require(int index) {
        List<Device> all = devices();
        if (index < 0 || index >= all.size()) {
            throw new BackendUnavailableException(
                    "--device cuda:" + index + ": there " + (all.size() == 1 ? "is one CUDA device, cuda:0" : "are " + all.size()
                            + " CUDA devices, cuda:0 to cuda:" + (all.size() - 1)) + "; griffin-run devices lists them");
        }
        Device device = all.get(index);
        if (!device.usable()) {
            throw new BackendUnavailableException("--device cuda:" + index + ": " + device.describe() + " is too old. " + REQUIREMENT
                    + ": use another card or --device cpu");
        }
        return device;
    }
}
