/**
 * Bindings to the CUDA driver and cuBLASLt: what jextract generated, and the search for the libraries. Ask
 * {@link griffin.bindings.NativeLibraries} before touching a generated class.
 */
module griffin.bindings {
    exports griffin.bindings;
    exports griffin.bindings.cuda;
}
