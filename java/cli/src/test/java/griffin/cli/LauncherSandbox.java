package griffin.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;

/**
 * A copy of the launcher in a folder with a fresh build, and a PATH and a JVM folder that hold only what a test puts there.
 * The fake java prints which JDK it is, its process and its arguments; the fake mvn writes its arguments to {@code mvn.log} and
 * makes the jars.
 */
final class LauncherSandbox {

    /** What the launcher calls besides java and mvn; PATH holds these alone. */
    private static final List<String> TOOLS = List.of("find", "ln", "mv", "readlink", "rm", "sed", "sleep", "touch");

    private static final List<String> MODULES =
            List.of("java/core", "java/stories", "java/cuda", "java/hub", "java/server", "java/cli", "bindings", "cuda-kernels");

    final Path folder;
    final Path root;
    final Path bin;
    final Path jvmFolder;
    final Map<String, String> environment = new TreeMap<>();

    /** Exit code and both streams of one launch. */
    record Result(int exit, String out, String err, long process) {

        /** The fake java's lines that begin with {@code key=}, without it. */
        List<String> values(String key) {
            return out.lines().filter(line -> line.startsWith(key + "=")).map(line -> line.substring(key.length() + 1)).toList();
        }
    }

    LauncherSandbox(Path temporary) throws IOException {
        folder = Files.createDirectories(temporary.toRealPath().resolve("a folder"));
        root = Files.createDirectories(folder.resolve("the repository"));
        bin = Files.createDirectories(folder.resolve("bin"));
        jvmFolder = Files.createDirectories(folder.resolve("jvm s"));
        Files.copy(Path.of("../../griffin-run"), launcher(), StandardCopyOption.COPY_ATTRIBUTES);
        for (String tool : TOOLS) {
            Path real = Files.exists(Path.of("/usr/bin", tool)) ? Path.of("/usr/bin", tool) : Path.of("/bin", tool);
            script(bin.resolve(tool), "exec " + real + " \"$@\"");
        }
        write(root.resolve("pom.xml"), "");
        for (String module : MODULES) {
            write(module(module).resolve("pom.xml"), "");
            write(module(module).resolve("src/main/java/Some.java"), "");
            write(module(module).resolve("src/main/java/Other.java"), "");
            write(jar(module), "");
        }
        write(module("java/cli").resolve("target/lib/some library.jar"), "");
        Instant hourAgo = Instant.now().minusSeconds(3600);
        try (var files = Files.walk(root)) {
            for (Path file : (Iterable<Path>) files::iterator) {
                Files.setLastModifiedTime(file, FileTime.from(file.toString().endsWith(".jar") ? hourAgo.plusSeconds(60) : hourAgo));
            }
        }
        environment.put("PATH", bin.toString());
        environment.put("HOME", folder.toString());
        environment.put("GRIFFIN_JVM_DIRS", folder.resolve("no such folder") + ":" + jvmFolder);
    }

    Path launcher() {
        return root.resolve("griffin-run");
    }

    Path module(String name) {
        return root.resolve(name);
    }

    Path jar(String module) {
        return module(module).resolve("target/griffin-" + module.substring(module.lastIndexOf('/') + 1) + ".jar");
    }

    /** Makes a fake JDK of the given version, with its release file. */
    Path jdk(Path home, String version) throws IOException {
        script(home.resolve("bin/javac"), "exit 0");
        script(home.resolve("bin/java"), """
                if [ "$1" = -version ]; then echo 'openjdk version "%s" 2026-01-01' >&2; exit; fi
                echo "java=%s"
                echo "process=$$"
                for argument; do echo "argument=$argument"; done
                if [ -n "$FAKE_INPUT" ]; then while read -r line; do echo "input=$line"; done; fi
                exit "${FAKE_EXIT:-0}"
                """.formatted(version, home));
        write(home.resolve("release"), "IMPLEMENTOR=\"Someone\"\nJAVA_VERSION=\"" + version + "\"\nOS_NAME=\"Some\"");
        return home;
    }

    /** Puts a fake mvn on PATH that runs {@code extra} in the repository, then makes the jars. */
    void maven(String extra) throws IOException {
        script(bin.resolve("mvn"), """
                cd '%s'
                echo "$JAVA_HOME $*" >>'%s'
                echo 'output of the build'
                while read -r line; do echo "mvn ate $line" >>'%s'; done
                %s
                /bin/mkdir -p java/cli/target/lib
                for module in java/core java/stories java/cuda java/server java/cli bindings cuda-kernels; do : >"$module/target/griffin-${module##*/}.jar"; done
                """.formatted(root, mavenLog(), mavenLog(), extra));
    }

    Path mavenLog() {
        return folder.resolve("mvn.log");
    }

    /** The command lines of the Maven runs so far. */
    List<String> mavenRuns() throws IOException {
        return Files.exists(mavenLog()) ? Files.readAllLines(mavenLog()) : List.of();
    }

    Process start(Path workingFolder, String... command) throws IOException {
        ProcessBuilder builder = new ProcessBuilder(new ArrayList<>(Arrays.asList(command))).directory(workingFolder.toFile());
        builder.environment().clear();
        builder.environment().putAll(environment);
        return builder.start();
    }

    /** Runs the launcher by its full path. */
    Result launch(String... arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(launcher().toString()));
        command.addAll(Arrays.asList(arguments));
        return finish(start(folder, command.toArray(String[]::new)), "");
    }

    static Result finish(Process process, String input) throws IOException, InterruptedException {
        try (var stream = process.getOutputStream()) {
            stream.write(input.getBytes(StandardCharsets.UTF_8));
        }
        // The outputs are short: they fit the pipes.
        if (!process.waitFor(60, TimeUnit.SECONDS)) {
            process.destroyForcibly();
            throw new AssertionError("the launcher did not end within 60 seconds");
        }
        return new Result(process.exitValue(), text(process.getInputStream().readAllBytes()),
                text(process.getErrorStream().readAllBytes()), process.pid());
    }

    private static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }

    static void script(Path file, String body) throws IOException {
        write(file, "#!/bin/sh\n" + body + "\n");
        if (!file.toFile().setExecutable(true)) {
            throw new IOException("cannot make " + file + " executable");
        }
    }

    static void write(Path file, String content) throws IOException {
        Files.createDirectories(file.getParent());
        Files.writeString(file, content);
    }
}
