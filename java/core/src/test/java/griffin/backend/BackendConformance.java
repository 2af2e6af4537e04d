package griffin.backend;

import griffin.backend.reference.ReferenceBackend;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/** All conformance tests of a backend. A new backend adds a subclass; its tolerances differ only if it computes in lower precision. */
abstract class BackendConformance
        implements DenseConformance, RecurrenceConformance, AttentionConformance, SamplingConformance, ExecutionConformance {

    private Side device;
    private final Side reference = new Side(new ReferenceBackend(), 1);

    /** The backend under test. */
    abstract Backend open();

    /** Elements to which views by columns must be aligned: what the backend declares, 1 if it can do everything. */
    int alignment() {
        return 1;
    }

    @Override
    public Tolerances tolerances() {
        return new Tolerances();
    }

    @Override
    public final Side device() {
        return device;
    }

    @Override
    public final Side reference() {
        return reference;
    }

    @BeforeEach
    final void start() {
        device = new Side(open(), alignment());
    }

    @AfterEach
    final void stop() {
        device.backend.close();
    }
}
