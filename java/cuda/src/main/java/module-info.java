/** The CUDA backend: Griffin's operations on NVIDIA GPUs, through the driver alone. Found by the core as a service. */
module griffin.cuda {
    requires griffin.core;
    requires griffin.bindings;

    provides griffin.backend.BackendProvider with griffin.backend.cuda.CudaProvider;
}
