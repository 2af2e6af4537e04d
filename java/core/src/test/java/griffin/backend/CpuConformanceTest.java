package griffin.backend;

import griffin.backend.cpu.CpuBackend;
import org.junit.jupiter.api.Nested;

/** The CPU backend on one thread and on several. */
class CpuConformanceTest {

    @Nested
    class OnOneThread extends BackendConformance {
        @Override
        Backend open() {
            return new CpuBackend(1);
        }
    }

    @Nested
    class OnThreeThreads extends BackendConformance {
        @Override
        Backend open() {
            return new CpuBackend(3);
        }
    }
}
