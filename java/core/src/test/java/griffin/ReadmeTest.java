package griffin;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The README's example is compiled as it stands, with another model and file name, and run. */
class ReadmeTest {

    @TempDir
    private Path folder;

    @Test
    void theExampleCompilesAndRuns() throws ReflectiveOperationException, IOException {
        Matcher block = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL).matcher(Files.readString(Path.of("../../README.md")));
        assertTrue(block.find(), "the README has an example in Java");
        Path state = folder.resolve("story.state");
        String body = replaced(block.group(1), "recurrentgemma-2b-it", TestModels.STORIES);
        body = replaced(body, "story.state", state);
        Path source = folder.resolve("Example.java");
        int statements = body.indexOf("\n\n");
        Files.writeString(source, body.substring(0, statements) + "\npublic class Example {\n    public static void run() {\n"
                + body.substring(statements) + "    }\n}\n");
        ByteArrayOutputStream errors = new ByteArrayOutputStream();
        int code = ToolProvider.getSystemJavaCompiler().run(null, null, errors, "-proc:none", "-cp", System.getProperty("java.class.path"),
                "-d",
                folder.toString(), source.toString());
        assertEquals(0, code, errors.toString(StandardCharsets.UTF_8));
        assertTrue(outputOf(folder).length() > 20, "it prints a story");
        assertTrue(Files.size(state) > 1000, "it saves the session");
    }

    private static String replaced(String text, String name, Path path) {
        assertTrue(text.contains(name), "the example names " + name);
        return text.replace(name, path.toString());
    }

    private static String outputOf(Path classes) throws ReflectiveOperationException, IOException {
        PrintStream before = System.out;
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
        try (URLClassLoader loader = new URLClassLoader(new URL[] {classes.toUri().toURL()}, ReadmeTest.class.getClassLoader())) {
            loader.loadClass("Example").getMethod("run").invoke(null);
        } finally {
            System.setOut(before);
        }
        return printed.toString(StandardCharsets.UTF_8);
    }
}
