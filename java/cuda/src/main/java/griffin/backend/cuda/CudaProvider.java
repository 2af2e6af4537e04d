package griffin.backend.cuda;

import griffin.backend.Backend;
import griffin.backend.BackendProvider;
import java.util.List;

/** Makes the CUDA backend known to the core. */
public final class CudaProvider implements BackendProvider {

    /** For {@link java.util.ServiceLoader}. */
    public CudaProvider() {}

    @Override
    public String kind() {
        return "cuda";
    }

    @Override
    public List<Found> probe() {
        String missing = CudaKernels.missing(CudaSettings.ofSystem().kernels());
        List<Found> found = CudaDriver.find();
        return missing == null ? found : found.stream().map(f -> f.usable() ? new Found(f.index(), false, f.detail() + "; " + missing) : f)
                .toList();
    }

    @Override
    public Backend open(Options options) {
        return new CudaBackend(options.index(), options.operands(), CudaSettings.ofSystem(), options.notices());
    }
}
