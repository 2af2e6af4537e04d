package griffin.backend.cuda;

import griffin.bindings.fake.FakeDriver;

/** {@link Fake} for tests of other packages. */
public final class FakeCard {

    private FakeCard() {}

    /** A driver on which runs can be awaited. */
    public static FakeDriver publishing() {
        return Fake.publishing();
    }
}
