package griffin.weights;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import griffin.error.ModelFormatException;
import org.junit.jupiter.api.function.Executable;

/** Asserts that a fault is reported, and that its message names what the reader needs. */
public final class Faults {

    private Faults() {}

    public static void assertFault(Executable action, String... words) {
        String message = assertThrows(ModelFormatException.class, action).getMessage();
        for (String word : words) {
            assertTrue(message.contains(word), () -> "message lacks '" + word + "': " + message);
        }
        assertTrue(message.length() < 1500 && message.lines().count() == 1, message);
    }
}
