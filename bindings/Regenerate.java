import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * Writes the generated bindings anew: runs jextract on the headers, puts our library lookup in the place of the generated one, and
 * replaces the committed sources by the result. Argument: the folder of this module. Same headers, same jextract (see README.md): same
 * bytes.
 */
public class Regenerate {

    private static final String PACKAGE = "griffin.bindings.cuda";

    /** What jextract writes without {@code -l}: finds nothing, because nobody loads the driver into this class loader. */
    private static final String GENERATED_LOOKUP = """
            static final SymbolLookup SYMBOL_LOOKUP = SymbolLookup.loaderLookup()
                        .or(Linker.nativeLinker().defaultLookup());
            """;

    /** Its cast fails on Windows, where a C long has 32 bits; the headers use no long. */
    private static final String C_LONG = "    public static final ValueLayout.OfLong C_LONG = (ValueLayout.OfLong)"
            + " Linker.nativeLinker().canonicalLayouts().get(\"long\");\n";

    private final Path module;
    private final Path generated;

    private Regenerate(Path module) {
        this.module = module;
        this.generated = module.resolve("target/jextract");
    }

    /** Regenerates, or ends with a message and status 1. */
    public static void main(String[] args) throws Exception {
        try {
            new Regenerate(Path.of(args[0])).run();
        } catch (IllegalStateException | IOException e) {
            System.err.println(e.getMessage());
            System.exit(1);
        }
    }

    private void run() throws IOException, InterruptedException {
        deleteFiles(generated.resolve(PACKAGE.replace('.', '/')));
        generate("cuda_driver.h", "Cuda", "cuda");
        generate("cublas_lt.h", "CublasLt", "cublasLt");
        Path target = module.resolve("src/main/java").resolve(PACKAGE.replace('.', '/'));
        deleteFiles(target);
        Files.createDirectories(target);
        for (Path file : files(generated.resolve(PACKAGE.replace('.', '/')))) {
            Files.copy(file, target.resolve(file.getFileName()));
        }
    }

    private void generate(String header, String name, String library) throws IOException, InterruptedException {
        Path headers = module.resolve("src/main/headers");
        List<String> command = new ArrayList<>(jextract());
        command.addAll(List.of("--output", generated.toAbsolutePath().toString(), "--target-package", PACKAGE));
        command.addAll(List.of("--header-class-name", name, header));
        // In the headers' folder, so that no path of this machine can find its way into the output.
        int status = new ProcessBuilder(command).directory(headers.toFile()).inheritIO().start().waitFor();
        if (status != 0) {
            throw new IllegalStateException("jextract ended with status " + status + " on " + header);
        }
        Path folder = generated.resolve(PACKAGE.replace('.', '/'));
        replace(folder.resolve(name + ".java"), GENERATED_LOOKUP,
                "static final SymbolLookup SYMBOL_LOOKUP = griffin.bindings.NativeLibraries." + library + "();\n");
        replace(folder.resolve(name + "$shared.java"), C_LONG, "");
    }

    /** Replaces the one occurrence: another number means another jextract, whose output wants a look. */
    private static void replace(Path file, String old, String replacement) throws IOException {
        String text = Files.readString(file).replace("\r\n", "\n");
        int at = text.indexOf(old);
        if (at < 0 || text.indexOf(old, at + 1) >= 0) {
            throw new IllegalStateException("Expected exactly once in " + file + ": " + old + "This jextract writes something else than"
                    + " the one named in bindings/README.md.");
        }
        Files.writeString(file, text.replace(old, replacement));
    }

    private static List<String> jextract() {
        String suffix = File.separatorChar == '\\' ? ".bat" : "";
        String home = System.getenv("JEXTRACT_HOME");
        if (home != null && !home.isBlank()) {
            return List.of(Path.of(home, "bin", "jextract" + suffix).toString());
        }
        for (String folder : System.getenv("PATH").split(File.pathSeparator)) {
            Path candidate = Path.of(folder, "jextract" + suffix);
            if (Files.isExecutable(candidate)) {
                return List.of(candidate.toString());
            }
        }
        throw new IllegalStateException("No jextract on PATH, and JEXTRACT_HOME is not set: see bindings/README.md.");
    }

    private static void deleteFiles(Path folder) throws IOException {
        for (Path file : files(folder)) {
            Files.delete(file);
        }
    }

    private static List<Path> files(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.sorted().toList();
        }
    }
}
