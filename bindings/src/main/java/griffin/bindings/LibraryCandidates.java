package griffin.bindings;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Names and paths under which the libraries are known to be installed, per operating system; none where CUDA does not exist. */
final class LibraryCandidates {

    /** Newest first. The calls in use are the same in both. */
    private static final List<String> CUBLAS_LT_VERSIONS = List.of("13", "12");

    private LibraryCandidates() {}

    static List<String> cuda(String operatingSystem, Map<String, String> environment) {
        if (isWindows(operatingSystem)) {
            return List.of("nvcuda.dll");
        }
        // Under WSL the driver comes from Windows, in a folder that not every distribution has told its loader about.
        return isLinux(operatingSystem) ? List.of("libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1") : List.of();
    }

    static List<String> cublasLt(String operatingSystem, Map<String, String> environment) {
        List<String> candidates = new ArrayList<>();
        if (isWindows(operatingSystem)) {
            CUBLAS_LT_VERSIONS.forEach(version -> candidates.add("cublasLt64_" + version + ".dll"));
            // Since 13 the toolkit's libraries are in bin\x64, which is not on PATH of older installations.
            for (String folder : toolkits(environment)) {
                CUBLAS_LT_VERSIONS.forEach(version -> candidates.add(folder + "\\bin\\x64\\cublasLt64_" + version + ".dll"));
                CUBLAS_LT_VERSIONS.forEach(version -> candidates.add(folder + "\\bin\\cublasLt64_" + version + ".dll"));
            }
        } else if (isLinux(operatingSystem)) {
            CUBLAS_LT_VERSIONS.forEach(version -> candidates.add("libcublasLt.so." + version));
            Set<String> folders = new LinkedHashSet<>(toolkits(environment));
            folders.add("/usr/local/cuda");
            folders.addAll(versioned(Path.of("/usr/local")));
            folders.add("/opt/cuda");
            for (String folder : folders) {
                CUBLAS_LT_VERSIONS.forEach(version -> candidates.add(folder + "/lib64/libcublasLt.so." + version));
            }
        }
        return candidates;
    }

    /** Toolkits that the environment names. */
    private static Set<String> toolkits(Map<String, String> environment) {
        Set<String> folders = new LinkedHashSet<>();
        for (String variable : List.of("CUDA_HOME", "CUDA_PATH")) {
            String folder = environment.get(variable);
            if (folder != null && !folder.isBlank()) {
                folders.add(folder);
            }
        }
        return folders;
    }

    /** The folders {@code cuda-*} in a folder, the highest version first. */
    private static List<String> versioned(Path parent) {
        List<String> folders = new ArrayList<>();
        try (DirectoryStream<Path> found = Files.newDirectoryStream(parent, "cuda-*")) {
            found.forEach(folder -> folders.add(folder.toString()));
        } catch (IOException e) {
            // A folder that cannot be read holds no toolkit for us.
            return List.of();
        }
        folders.sort(Comparator.reverseOrder());
        return folders;
    }

    private static boolean isWindows(String operatingSystem) {
        return operatingSystem.startsWith("Windows");
    }

    private static boolean isLinux(String operatingSystem) {
        return operatingSystem.equals("Linux");
    }
}
