package griffin.backend;

import griffin.backend.reference.ReferenceBackend;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/** All conformance tests of a backend. A new backend adds a subclass for each operand type. */
abstract class BackendConformance
        implements DenseConformance, RecurrenceConformance, AttentionConformance, SamplingConformance, ExecutionConformance {

    private Side device;
    private Side reference;

    /** The backend under test. */
    abstract Backend open();

    /** Elements to which views by columns must be aligned: what the backend declares, 1 if it can do everything. */
    int alignment() {
        return 1;
    }

    @Override
    public DType operands() {
        return DType.F32;
    }

    /** What it is compared with. */
    Backend openReference() {
        return new ReferenceBackend(operands());
    }

    @Override
    public Tolerances tolerances() {
        return new Tolerances(operands(), true);
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
        reference = new Side(openReference(), 1);
    }

    @AfterEach
    final void stop() {
        if (device != null) { // a device that is absent ends a test before it has begun
            device.backend.close();
        }
    }
}
