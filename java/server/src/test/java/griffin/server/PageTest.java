package griffin.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import griffin.Session;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The page in a browser: a chat that streams, its figures, and its state saved and loaded. Pictures of it are in target/page. */
class PageTest {

    private static final Path PICTURES = Path.of("target/page");

    @TempDir
    Path folder;

    @Test
    void chatsAndKeepsItsState() throws Exception {
        Optional<File> program = Chromium.find();
        assumeTrue(program.isPresent(), "there is no Chromium here; apt-get install chromium-headless-shell brings one");
        try (Served served = Served.start(); Chromium browser = new Chromium(program.get(), folder)) {
            browser.open("http://127.0.0.1:" + served.server.port() + "/");
            browser.await("document.title === 'griffin-stories'");
            browser.evaluate("document.getElementById('temperature').value = '0'; document.getElementById('most').value = '40'");
            say(browser, "Write a story about a dog and a ball.");
            String first = (String) browser.evaluate("document.querySelectorAll('.turn.model')[0].textContent");
            assertTrue(first.length() > 60, first);
            String speed = (String) browser.evaluate("document.getElementById('speed').textContent");
            assertTrue(speed.matches("\\d+\\.\\d tokens/s, 40 tokens; .*"), speed);
            String state = (String) browser.evaluate("document.getElementById('state').textContent");
            assertTrue(state.matches("\\d+ tokens in a state of 424 KiB"), state);
            say(browser, "What happened then?");
            assertTrue(((String) browser.evaluate("document.getElementById('speed').textContent"))
                    .matches(".* [1-9]\\d* of \\d+ tokens not read again"));
            browser.screenshot(PICTURES.resolve("chat.png"));

            Path saved = save(browser);
            try (Session session = served.griffin.load(saved)) {
                assertTrue(session.length() > 80, "tokens of both turns: " + session.length());
            }
            browser.choose("#file", saved);
            browser.await("document.body.innerText.includes('going on from ')");
            browser.await("document.getElementById('state').textContent.includes('tokens in a state')");
            say(browser, "And in the end?");
            assertTrue(((String) browser.evaluate("document.getElementById('speed').textContent"))
                    .matches(".* [1-9]\\d+ of \\d+ tokens not read again"));
            browser.screenshot(PICTURES.resolve("loaded.png"));
            assertEquals(0L, browser.evaluate("document.querySelectorAll('.error').length"));
        }
    }

    /** A stop button that stops, an error that is shown, a key that is asked for. */
    @Test
    void showsWhatGoesWrong() throws Exception {
        Optional<File> program = Chromium.find();
        assumeTrue(program.isPresent(), "there is no Chromium here; apt-get install chromium-headless-shell brings one");
        try (Served served = Served.start(1, 2, builder -> builder.apiKey("k")); Chromium browser = new Chromium(program.get(), folder)) {
            browser.open("http://127.0.0.1:" + served.server.port() + "/");
            browser.await("document.body.innerText.includes('API key')");
            browser.await("document.querySelector('details').open");
            browser.evaluate("document.getElementById('key').value = 'k'; document.getElementById('most').value = '100000000'");
            browser.evaluate("document.getElementById('text').value = 'Hello <b>you</b>'; document.getElementById('form').requestSubmit()");
            browser.await(
                    "document.querySelectorAll('.turn.model').length === 1 && document.querySelector('.turn.model').textContent.length > 5");
            assertEquals("Stop", browser.evaluate("document.getElementById('send').textContent"));
            assertEquals(0L, browser.evaluate("document.querySelectorAll('.turn b').length"), "what is said is text");
            browser.evaluate("document.getElementById('form').requestSubmit()");
            browser.await("document.getElementById('send').textContent === 'Send'");
            browser.screenshot(PICTURES.resolve("stopped.png"));
        }
    }

    private static void say(Chromium browser, String text) {
        browser.evaluate("document.getElementById('text').value = '" + text + "'; document.getElementById('form').requestSubmit()");
        browser.await("document.getElementById('send').textContent === 'Send' && !document.getElementById('load').disabled");
    }

    private Path save(Chromium browser) throws Exception {
        Path downloads = Files.createDirectory(folder.resolve("downloads"));
        browser.downloadTo(downloads);
        browser.evaluate("document.getElementById('save').click()");
        browser.await("document.body.innerText.includes('saved ')");
        for (long end = System.nanoTime() + 30_000_000_000L;;) {
            try (Stream<Path> files = Files.list(downloads)) {
                List<Path> done = files.filter(file -> file.toString().endsWith(".state")).toList();
                if (done.size() == 1) {
                    return done.getFirst();
                }
            }
            assertTrue(System.nanoTime() < end, "the state was not downloaded");
            Thread.sleep(20);
        }
    }
}
