package griffin.backend.cuda;

import griffin.backend.DType;
import java.util.List;

/** Turns operations into prepared launches. Which kernel serves is decided when they are issued, by the step's extent. */
final class Lowering {

    final CudaContext context;
    final CudaKernels kernels;
    final CudaMemory memory;
    final DType operands;
    final MatVec matVec;
    final TileProduct tiles;
    final StreamProduct streams;
    /** Null where cuBLASLt is absent. */
    final CublasLtProducts products;
    /** Whether kernels for Hopper's asynchronous tensor cores serve (files *_wgmma.cu). */
    final boolean wgmma;
    private final String suffix;

    Lowering(CudaContext context, CudaKernels kernels, CudaMemory memory, DType operands, CublasLtProducts products,
            CudaSettings settings) {
        this.context = context;
        this.kernels = kernels;
        this.memory = memory;
        this.operands = operands;
        this.products = products;
        matVec = new MatVec(context.device, operands.bytes(), settings.ring());
        tiles = new TileProduct(context.device, settings.ring(), settings.tiles());
        wgmma = operands == DType.BF16 && context.device.capability() == CudaDriver.HOPPER;
        suffix = "_" + CudaUpload.word(operands);
        streams = new StreamProduct(context.device, operands == DType.BF16 ? settings.streams() : 0);
    }

    /** A kernel of the operand type. */
    CudaKernels.Kernel kernel(String name) {
        return kernel(name, "");
    }

    /** The same in one of its forms. */
    CudaKernels.Kernel kernel(String name, String form) {
        return kernels.get(name + suffix + form);
    }

    Arguments arguments() {
        return new Arguments(context.arena);
    }

    Launch launch(CudaKernels.Kernel kernel, Arguments arguments, int threads, int shared, Launch.Geometry geometry) {
        return new Launch(context, kernel, arguments, threads, shared, geometry);
    }

    Call lower(Operation operation) {
        return switch (operation) {
            case Operation.Embed o -> DenseCalls.embed(this, o);
            case Operation.AddRmsNorm o -> DenseCalls.addRmsNorm(this, o);
            case Operation.Linear o -> LinearCall.of(this, o);
            case Operation.GatedGelu o -> DenseCalls.gatedGelu(this, o);
            case Operation.GatedMlp o -> DenseCalls.gatedMlp(this, o);
            case Operation.SelectRows o -> DenseCalls.selectRows(this, o);
            case Operation.Logits o -> DenseCalls.logits(this, o);
            case Operation.NormLinear o -> LinearCall.of(this, o);
            case Operation.LinearAdd o -> LinearCall.of(this, o);
            case Operation.NormGatedLinear o -> LinearCall.of(this, o);
            case Operation.LinearAddNorm o -> LinearCall.of(this, o);
            case Operation.GatedLinear o -> LinearCall.of(this, o);
            case Operation.CausalConv o -> RecurrenceCalls.causalConv(this, o);
            case Operation.RgLru o -> RecurrenceCalls.rgLru(this, o);
            case Operation.Recurrence o -> RecurrenceCalls.recurrence(this, o);
            case Operation.Rotate o -> AttentionCalls.rotate(this, o);
            case Operation.WindowAttention o -> AttentionCalls.windowAttention(this, o);
            case Operation.StoreKeys o -> AttentionCalls.storeKeys(this, o);
            case Operation.Attention o -> AttentionCalls.attention(this, o);
            case Operation.Sample o -> SamplingCalls.sample(this, o);
            case Operation.Advance o -> SamplingCalls.advance(this, o);
            case Operation.Publish o -> SamplingCalls.publish(this, o);
        };
    }

    Call[] lower(List<Operation> operations) {
        return operations.stream().map(this::lower).toArray(Call[]::new);
    }

    /** Several calls as one. */
    static Call all(Call... calls) {
        return extent -> {
            for (Call call : calls) {
                call.issue(extent);
            }
        };
    }

    /** A step in which every sequence has one row has kernels of its own. */
    static Call either(Call decode, Call any) {
        return extent -> (extent.decode ? decode : any).issue(extent);
    }
}
