package griffin.backend.cuda;

import java.nio.file.Path;

/**
 * Switches for tests and comparisons; none changes results beyond rounding.
 *
 * @param fusions whether decode steps use kernels that do several operations at once ({@code griffin.cuda.fusions=off})
 * @param graphs  whether decode steps are captured once and replayed ({@code griffin.cuda.graphs=off})
 * @param overlap whether a kernel may start before its predecessor has ended, where the card can ({@code griffin.cuda.overlap=off})
 * @param cublas  whether cuBLASLt is used where it is found ({@code griffin.cuda.cublas=off})
 * @param ring    bytes of shared memory of a product of few rows ({@code griffin.cuda.ring}); 0 for the rules of {@link MatVec} and
 *                {@link TileProduct}
 * @param tiles   the most rows of a product by tiles ({@code griffin.cuda.tiles}), 1 for none; 0 for {@link TileProduct}'s own rule
 * @param streams the most rows of a product by streams ({@code griffin.cuda.streams}), 0 for none: {@link StreamProduct}
 * @param kernels folder of compiled kernels to use instead of the jar's ({@code griffin.cuda.kernels.dir}), or null
 */
record CudaSettings(boolean fusions, boolean graphs, boolean overlap, boolean cublas, int ring, int tiles, int streams, Path kernels) {

    /** As the system properties say. */
    static CudaSettings ofSystem() {
        String folder = System.getProperty("griffin.cuda.kernels.dir");
        return new CudaSettings(isOn("fusions"), isOn("graphs"), isOn("overlap"), isOn("cublas"),
                Integer.getInteger("griffin.cuda.ring", 0), Integer.getInteger("griffin.cuda.tiles", 0),
                Integer.getInteger("griffin.cuda.streams", TileProduct.MOST_ROWS), folder == null ? null : Path.of(folder));
    }

    private static boolean isOn(String name) {
        return !"off".equals(System.getProperty("griffin.cuda." + name));
    }

    CudaSettings withFusions(boolean value) {
        return new CudaSettings(value, graphs, overlap, cublas, ring, tiles, streams, kernels);
    }

    CudaSettings withGraphs(boolean value) {
        return new CudaSettings(fusions, value, overlap, cublas, ring, tiles, streams, kernels);
    }

    CudaSettings withCublas(boolean value) {
        return new CudaSettings(fusions, graphs, overlap, value, ring, tiles, streams, kernels);
    }
}
