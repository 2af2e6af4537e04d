package griffin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code griffin-run} itself, with a fake java, a fake mvn and fake JVM folders. */
@DisabledOnOs(value = OS.WINDOWS, disabledReason = "griffin-run is a POSIX shell script")
class LauncherTest {

    private LauncherSandbox box;

    @BeforeEach
    void makeSandbox(@TempDir Path temporary) throws IOException {
        box = new LauncherSandbox(temporary);
    }

    private Path jdkInFolder(String name, String version) throws IOException {
        return box.jdk(box.jvmFolder.resolve(name), version);
    }

    private void assertRunsOn(Path jdk) throws Exception {
        var result = box.launch();
        assertEquals("", result.err());
        assertEquals(0, result.exit());
        assertEquals(List.of(jdk.toString()), result.values("java"));
    }

    private LauncherSandbox.Result assertRefused(int exit, String... parts) throws Exception {
        var result = box.launch();
        assertEquals(exit, result.exit());
        assertEquals("", result.out());
        for (String part : parts) {
            assertTrue(result.err().contains(part), () -> "no \"" + part + "\" in: " + result.err());
        }
        return result;
    }

    @Test
    void javaHomeComesFirst() throws Exception {
        jdkInFolder("jdk-25", "25.0.1");
        Path home = box.jdk(box.folder.resolve("my jdk"), "25.0.3");
        box.environment.put("JAVA_HOME", home.toString());
        assertRunsOn(home);
    }

    @Test
    void pathComesBeforeTheJvmFolders() throws Exception {
        jdkInFolder("jdk-25", "25.0.1");
        Path home = box.jdk(box.folder.resolve("my jdk"), "25");
        // As distributions do it: a relative link to an absolute one.
        Files.createSymbolicLink(box.bin.resolve("alternative"), home.resolve("bin/java"));
        Files.createSymbolicLink(box.bin.resolve("java"), Path.of("alternative"));
        assertRunsOn(home);
    }

    @ParameterizedTest
    @ValueSource(strings = {"temurin 25", "jdk-25.jdk/Contents/Home"})
    void jvmFolderIsSearched(String name) throws Exception {
        assertRunsOn(jdkInFolder(name, "25.0.2"));
    }

    @Test
    void newerJdkWillDo() throws Exception {
        assertRunsOn(jdkInFolder("jdk", "100-ea"));
    }

    @Test
    void olderJavaHomeAndPathArePassedOver() throws Exception {
        box.environment.put("JAVA_HOME", jdkInFolder("a-17", "17.0.15").toString());
        Files.createSymbolicLink(box.bin.resolve("java"), jdkInFolder("b-24", "24.0.1").resolve("bin/java"));
        assertRunsOn(jdkInFolder("c-25", "25.0.3"));
    }

    @Test
    void jdkWithoutReleaseFileIsAsked() throws Exception {
        Files.delete(jdkInFolder("a-17", "17.0.15").resolve("release"));
        Path home = jdkInFolder("b-25", "25.0.3");
        Files.delete(home.resolve("release"));
        assertRunsOn(home);
    }

    @Test
    void withoutAnyJdkSaysSo() throws Exception {
        var result = assertRefused(2, "needs a JDK 25 or newer", "found none", "JAVA_HOME is not set", box.jvmFolder.toString(), "install");
        assertEquals(1, result.err().lines().count());
    }

    @Test
    void withoutJdk25SaysWhatItFoundWhere() throws Exception {
        Path home = box.jdk(box.folder.resolve("my jdk"), "1.8.0_402");
        box.environment.put("JAVA_HOME", home.toString());
        Path older = jdkInFolder("a-17", "17.0.15");
        Path runtime = jdkInFolder("b-25", "25.0.3");
        Files.delete(runtime.resolve("bin/javac"));
        // A second name for the same JDK is not worth a mention.
        Files.createSymbolicLink(box.jvmFolder.resolve("default"), Path.of("a-17"));
        var result = assertRefused(2, "Java 1.8.0_402 in " + home + " (JAVA_HOME)", "Java 17.0.15 in " + older + " (in ",
                "Java 25.0.3 without a compiler in " + runtime);
        assertEquals(1, result.err().lines().count());
        assertFalse(result.err().contains("jvm s/default"), result.err());
    }

    @Test
    void freshJarsNeedNoMaven() throws Exception {
        jdkInFolder("jdk-25", "25.0.3");
        box.maven("");
        var result = box.launch();
        assertEquals(List.of(), box.mavenRuns());
        assertTrue(result.values("argument").contains("griffin.cli.Main"));
        String classPath = result.values("argument").get(result.values("argument").indexOf("-cp") + 1);
        assertEquals(box.jar("java/core") + ":" + box.jar("java/stories") + ":" + box.jar("java/cuda") + ":" + box.jar("java/hub") + ":"
                + box.jar("java/server") + ":" + box.jar("java/cli") + ":" + box.jar("bindings") + ":" + box.jar("cuda-kernels") + ":"
                + box.module("java/cli").resolve("target/lib/some library.jar"), classPath);
    }

    @ParameterizedTest
    @ValueSource(strings = {"pom.xml", "java/core/pom.xml", "java/cli/src/main/java/Some.java", "java/stories/src/main/resources/new"})
    void newerSourceIsBuiltOnce(String source) throws Exception {
        Path jdk = jdkInFolder("jdk-25", "25.0.3");
        box.maven("");
        LauncherSandbox.write(box.root.resolve(source), "changed");
        assertBuiltOnce(jdk);
    }

    @ParameterizedTest
    @ValueSource(strings = {"java/core/src/main/java/Other.java", "java/stories/target/griffin-stories.jar",
        "java/cli/target/lib/some library.jar"})
    void deletedFileIsBuiltOnce(String file) throws Exception {
        Path jdk = jdkInFolder("jdk-25", "25.0.3");
        box.maven("");
        Files.delete(box.root.resolve(file));
        if (file.contains("/lib/")) {
            Files.delete(box.root.resolve(file).getParent());
        }
        assertBuiltOnce(jdk);
    }

    private void assertBuiltOnce(Path jdk) throws Exception {
        var result = box.launch("hello");
        assertEquals(0, result.exit(), result::err);
        assertEquals(List.of("hello"), List.of(result.values("argument").getLast()));
        assertFalse(result.out().contains("output of the build"), result::out);
        assertTrue(result.err().contains("output of the build"), result::err);
        assertEquals(1, box.mavenRuns().size(), () -> "after " + result);
        String run = box.mavenRuns().getFirst();
        assertTrue(run.startsWith(jdk + " ") && run.endsWith(" package"), run);
        assertTrue(run.contains(" -pl java/cli -am -Dmaven.test.skip=true "), run);
        assertEquals("", box.launch().err());
        assertEquals(1, box.mavenRuns().size());
    }

    @Test
    void sourceEditedDuringTheBuildIsBuiltNextTime() throws Exception {
        jdkInFolder("jdk-25", "25.0.3");
        box.maven("sleep 0.1; echo edited >java/core/src/main/java/Some.java; sleep 0.1");
        Files.delete(box.jar("java/cli"));
        box.launch();
        box.launch();
        assertEquals(2, box.mavenRuns().size());
    }

    @Test
    void missingMavenIsRefusedOnlyWhereABuildIsNeeded() throws Exception {
        jdkInFolder("jdk-25", "25.0.3");
        assertEquals(0, box.launch().exit());
        Files.delete(box.jar("java/core"));
        var result = assertRefused(2, "needs Maven 3.8 or newer to build because " + box.jar("java/core") + " is missing",
                "found no mvn on PATH (" + box.bin + ")", "install it");
        assertEquals(1, result.err().lines().count());
    }

    @Test
    void failedBuildIsReported() throws Exception {
        jdkInFolder("jdk-25", "25.0.3");
        box.maven("exit 7");
        Files.delete(box.jar("java/core"));
        assertRefused(1, "output of the build", "the build failed");
        assertFalse(Files.exists(box.root.resolve(".griffin-run.lock"), java.nio.file.LinkOption.NOFOLLOW_LINKS));
    }

    @Test
    void concurrentLaunchesBuildOnce() throws Exception {
        jdkInFolder("jdk-25", "25.0.3");
        box.maven("sleep 1");
        Files.delete(box.jar("java/core"));
        Process first = box.start(box.folder, box.launcher().toString());
        Process second = box.start(box.folder, box.launcher().toString());
        assertEquals(0, LauncherSandbox.finish(first, "").exit());
        assertEquals(0, LauncherSandbox.finish(second, "").exit());
        assertEquals(1, box.mavenRuns().size());
    }

    @Test
    void lockOfADeadProcessIsTakenOver() throws Exception {
        jdkInFolder("jdk-25", "25.0.3");
        box.maven("");
        Files.delete(box.jar("java/core"));
        Process dead = box.start(box.folder, "/bin/sh", "-c", "exit 0");
        dead.waitFor();
        Files.createSymbolicLink(box.root.resolve(".griffin-run.lock"), Path.of("process-" + dead.pid()));
        assertEquals(0, box.launch().exit());
        assertEquals(1, box.mavenRuns().size());
    }

    @Test
    void argumentsPassThroughUnchanged() throws Exception {
        jdkInFolder("jdk-25", "25.0.3");
        String[] arguments = {"Once upon a time", "", "it's", "\"quoted\"", "*", "$HOME `x`", "back\\slash", "--", "-x"};
        List<String> seen = box.launch(arguments).values("argument");
        assertEquals(List.of(arguments), seen.subList(seen.indexOf("griffin.cli.Main") + 1, seen.size()));
    }

    @Test
    void jvmOptionsFollowTheLaunchersOwn() throws Exception {
        jdkInFolder("jdk-25", "25.0.3");
        List<String> plain = box.launch().values("argument");
        assertTrue(plain.containsAll(List.of("jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", "-XX:+UseSerialGC")));
        box.environment.put("GRIFFIN_JAVA_OPTS", "-Xmx1g  -Dkey=* -XX:+UseZGC");
        List<String> options = box.launch().values("argument");
        int at = options.indexOf("-Xmx1g");
        assertEquals(List.of("-Xmx1g", "-Dkey=*", "-XX:+UseZGC", "-cp"), options.subList(at, at + 4));
        assertFalse(options.contains("-XX:+UseSerialGC"), "the JVM refuses two collectors");
    }

    /** The file that the launcher asks belongs to the machine, not to its pretended folders. */
    @Test
    void largePagesAreAskedForWhereLinuxGivesThem() throws Exception {
        jdkInFolder("jdk-25", "25.0.3");
        Path setting = Path.of("/sys/kernel/mm/transparent_hugepage/enabled");
        boolean given = Files.exists(setting) && !Files.readString(setting).contains("[never]");
        assertEquals(given, box.launch().values("argument").contains("-XX:+UseTransparentHugePages"));
    }

    @Test
    void processExitCodeAndInputAreTheCommands() throws Exception {
        jdkInFolder("jdk-25", "25.0.3");
        box.maven("");
        Files.delete(box.jar("java/core"));
        box.environment.put("FAKE_EXIT", "42");
        box.environment.put("FAKE_INPUT", "yes");
        var result = LauncherSandbox.finish(box.start(box.folder, box.launcher().toString()), "one\ntwo\n");
        assertEquals(42, result.exit());
        assertEquals(List.of("one", "two"), result.values("input"), "the build must leave standard input alone");
        assertEquals(List.of(Long.toString(result.process())), result.values("process"), "signals must reach the JVM");
    }

    @Test
    void worksThroughLinksAndFromAnywhere() throws Exception {
        jdkInFolder("jdk-25", "25.0.3");
        Path elsewhere = Files.createDirectories(box.folder.resolve("else where"));
        Files.createSymbolicLink(elsewhere.resolve("absolute"), box.launcher());
        Files.createSymbolicLink(box.bin.resolve("griffin"), Path.of("../else where/absolute"));
        List<List<String>> commands = List.of(List.of("./absolute"), List.of("../bin/griffin"), List.of("../the repository/griffin-run"),
                List.of("/bin/sh", "../bin/griffin"));
        String expected = String.join("\n", box.launch().values("argument"));
        for (List<String> command : commands) {
            var result = LauncherSandbox.finish(box.start(elsewhere, command.toArray(String[]::new)), "");
            assertEquals(expected, String.join("\n", result.values("argument")), () -> command + ": " + result.err());
        }
    }

    /** The benchmarks' launcher shares the search for a JDK and the look at what is stale, and has modules of its own. */
    @Test
    void benchmarksAreBuiltAndRunTheSameWay() throws Exception {
        Path jdk = jdkInFolder("jdk-25", "25.0.3");
        Path benchmarks = box.module("benchmarks");
        LauncherSandbox.write(benchmarks.resolve("pom.xml"), "");
        LauncherSandbox.write(benchmarks.resolve("src/main/java/Some.java"), "");
        Files.copy(Path.of("../../benchmarks/run"), benchmarks.resolve("run"), StandardCopyOption.COPY_ATTRIBUTES);
        box.maven("/bin/mkdir -p benchmarks/target/lib; : >benchmarks/target/griffin-benchmarks.jar");
        String command = benchmarks.resolve("run").toString();
        box.environment.put("GRIFFIN_JAVA_OPTS", "-Xmx24g");
        var built = LauncherSandbox.finish(box.start(box.folder, command, "decode", "a b"), "");
        assertEquals(0, built.exit(), built::err);
        assertEquals(List.of(jdk.toString()), built.values("java"));
        assertEquals(List.of("-Xmx24g", "-jar", benchmarks.resolve("target/griffin-benchmarks.jar").toString(), "decode", "a b"),
                built.values("argument").subList(3, 8));
        assertTrue(box.mavenRuns().getFirst().contains(" -pl benchmarks -am "), box.mavenRuns()::toString);
        var random = LauncherSandbox.finish(box.start(benchmarks, "./run", "random-model", "--config", "2b"), "");
        assertEquals("", random.err());
        assertEquals(1, box.mavenRuns().size());
        assertEquals("2b", random.values("argument").getLast());
        String source = random.values("argument").get(6);
        assertTrue(
                source.endsWith("/RandomModel.java") && Files.exists(Path.of("../..", source.substring(box.root.toString().length() + 1))),
                source);
    }
}
