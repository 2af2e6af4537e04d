package griffin.cli;

import picocli.CommandLine.Option;

/** How to generate where there are no turns: in a chat an end that is ignored would have the model speak for both. */
final class TextSamplingOptions extends SamplingOptions {

    @Option(names = "--ignore-eos", description = "Go on where the model would end.")
    boolean ignoreEos;

    @Override
    boolean ignoresEnd() {
        return ignoreEos;
    }
}
