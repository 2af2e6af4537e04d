package griffin;

import java.util.Random;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.TestExecutionExceptionHandler;

/** Random inputs, fresh in every run: a failure names the seed that {@code -Dgriffin.test.seed=N} brings back. */
public final class Seed implements TestExecutionExceptionHandler {

    private static final long BASE = Long.getLong("griffin.test.seed", System.nanoTime());

    /** Numbers that depend on the run's seed and on {@code use} alone, not on the order of tests. */
    public static Random random(Object use) {
        return new Random(BASE * 0x9E3779B97F4A7C15L + use.hashCode());
    }

    @Override
    public void handleTestExecutionException(ExtensionContext context, Throwable failure) throws Throwable {
        AssertionError named =
                new AssertionError("[repeat with -Dgriffin.test.seed=" + BASE + "] " + failure.getMessage(), failure.getCause());
        named.setStackTrace(failure.getStackTrace());
        throw failure instanceof AssertionError ? named : failure;
    }
}
