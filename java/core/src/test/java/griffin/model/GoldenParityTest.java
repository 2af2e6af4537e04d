package griffin.model;

import griffin.backend.Backend;
import griffin.backend.cpu.CpuBackend;
import griffin.backend.reference.ReferenceBackend;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Every backend reproduces the numbers of the authors' own code: one-shot, in every chunking, and token by token. */
class GoldenParityTest {

    private record Named(String name, Supplier<Backend> make) {
        @Override
        public String toString() {
            return name;
        }
    }

    static Stream<Arguments> cases() {
        Named cpu = new Named("cpu", CpuBackend::new);
        boolean widthIsForced = Integer.getInteger("griffin.cpu.vectorBits") != null; // the reference knows nothing of it
        List<Named> backends = widthIsForced ? List.of(cpu) : List.of(new Named("reference", ReferenceBackend::new), cpu);
        return Golden.CASES.stream().flatMap(name -> backends.stream().map(backend -> Arguments.of(name, backend)));
    }

    @ParameterizedTest(name = "{0} on {1}")
    @MethodSource("cases")
    void oneShot(String name, Named backend) {
        parity(name, backend).oneShot();
    }

    @ParameterizedTest(name = "{0} on {1}")
    @MethodSource("cases")
    void chunked(String name, Named backend) {
        parity(name, backend).chunked();
    }

    @ParameterizedTest(name = "{0} on {1}")
    @MethodSource("cases")
    void stepByStepAfterAPrompt(String name, Named backend) {
        parity(name, backend).stepByStepAfterAPrompt();
    }

    @ParameterizedTest(name = "{0} on {1}")
    @MethodSource("cases")
    void shortPrompt(String name, Named backend) {
        parity(name, backend).shortPrompt();
    }

    @ParameterizedTest(name = "{0} on {1}")
    @MethodSource("cases")
    void packedDocuments(String name, Named backend) {
        parity(name, backend).packedDocuments();
    }

    @ParameterizedTest(name = "{0} on {1}")
    @MethodSource("cases")
    void greedy(String name, Named backend) {
        parity(name, backend).greedy();
    }

    private static GoldenParity parity(String name, Named backend) {
        return new GoldenParity(name, backend.make, 1);
    }
}
