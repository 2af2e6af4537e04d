package griffin.backend.cuda;

import griffin.backend.MlpWeights;
import griffin.backend.cuda.Operation.AddRmsNorm;
import griffin.backend.cuda.Operation.GatedLinear;
import griffin.backend.cuda.Operation.GatedMlp;
import griffin.backend.cuda.Operation.Linear;
import griffin.backend.cuda.Operation.LinearAdd;
import griffin.backend.cuda.Operation.LinearAddNorm;
import griffin.backend.cuda.Operation.NormGatedLinear;
import griffin.backend.cuda.Operation.NormLinear;
import java.util.ArrayList;
import java.util.List;

/**
 * Rewrites a recorded list for decode steps of one row, where a launch costs as much as a small product:
 * <ol>
 * <li>a product whose result the next norm adds to the residual adds it there itself (linear_add_decode);
 * <li>a norm whose result only the next product reads is computed by that product (norm_linear_decode, norm_gated_linear_decode).
 * </ol>
 * A recurrent layer becomes five launches: x|y with its norm, recurrence, out, gate|up with its norm, down. The buffers in between
 * ({@code delta}, {@code normed}) are not written then. Steps of more rows keep the first rule: it saves {@code delta} twice. The second
 * would have every block normalise all rows, which costs more than the launches (linear.cu has the figures). There a sum and the norm behind
 * it are one operation instead, and the halves of an MLP are two: {@link LinearCall} knows at how many rows they are one launch.
 */
final class DecodePlanner {

    private final MatVec matVec;

    DecodePlanner(MatVec matVec) {
        this.matVec = matVec;
    }

    List<Operation> plan(List<Operation> recorded) {
        return foldNorms(foldSums(recorded));
    }

    /** For steps of any rows: rule 1, and each sum together with the norm that follows it. */
    static List<Operation> sums(List<Operation> recorded) {
        List<Operation> out = new ArrayList<>();
        for (Operation operation : splitMlps(foldSums(recorded))) {
            LinearAdd sum = !out.isEmpty() && out.getLast() instanceof LinearAdd last ? last : null;
            if (sum != null && operation instanceof AddRmsNorm norm && norms(norm, sum)) {
                out.set(out.size() - 1, new LinearAddNorm(sum.rows(), sum.in(), sum.w(), sum.bias(), sum.residual(), norm.scale(),
                        norm.eps(), norm.out()));
            } else {
                out.add(operation);
            }
        }
        return out;
    }

    private static boolean norms(AddRmsNorm norm, LinearAdd sum) {
        return norm.delta() == null && norm.residual().equals(sum.residual()) && norm.rows().equals(sum.rows());
    }

    private static List<Operation> splitMlps(List<Operation> folded) {
        List<Operation> out = new ArrayList<>();
        for (int i = 0; i < folded.size(); i++) {
            if (folded.get(i) instanceof GatedMlp p && isResidual(folded, i)) {
                out.addAll(halves(p));
            } else {
                out.add(folded.get(i));
            }
        }
        return out;
    }

    /** Rule 1: [product -> delta] [norm of residual + delta] becomes [residual += product] [norm of residual]. */
    private static List<Operation> foldSums(List<Operation> recorded) {
        List<Operation> out = new ArrayList<>();
        for (int i = 0; i < recorded.size(); i++) {
            Operation operation = recorded.get(i);
            AddRmsNorm next = i + 1 < recorded.size() && recorded.get(i + 1) instanceof AddRmsNorm norm ? norm : null;
            if (operation instanceof Linear p && adds(next, p.out(), p.rows())) {
                out.add(new LinearAdd(p.rows(), p.in(), p.w(), p.bias(), next.residual()));
            } else if (operation instanceof GatedMlp p && adds(next, p.out(), p.rows())) {
                out.add(new GatedMlp(p.rows(), p.in(), p.weights(), p.gateAndUp(), next.residual()));
            } else {
                out.add(operation);
                continue;
            }
            out.add(new AddRmsNorm(next.rows(), next.residual(), null, next.scale(), next.eps(), next.out()));
            i++;
        }
        return out;
    }

    private static boolean adds(AddRmsNorm norm, CudaBuffer delta, CudaRows rows) {
        return norm != null && delta.equals(norm.delta()) && rows.equals(norm.rows());
    }

    /** Rule 2, and the two halves of an MLP whose sum rule 1 has moved (its result is the residual that its norm has read). */
    private List<Operation> foldNorms(List<Operation> folded) {
        List<Operation> out = new ArrayList<>();
        for (int i = 0; i < folded.size(); i++) {
            AddRmsNorm norm = folded.get(i) instanceof AddRmsNorm n && n.delta() == null ? n : null;
            Operation next = i + 1 < folded.size() ? folded.get(i + 1) : null;
            if (norm != null && next instanceof Linear p && feeds(norm, p.in(), p.rows()) && fits(p.w())) {
                out.add(new NormLinear(p.rows(), norm.residual(), norm.scale(), norm.eps(), p.w(), p.bias(), p.out()));
                i++;
            } else if (norm != null && next instanceof GatedMlp p && feeds(norm, p.in(), p.rows())
                    && fits(CudaWeight.of(p.weights().gateAndUp()))) {
                MlpWeights w = p.weights();
                CudaBuffer hidden = p.gateAndUp().columns(0, p.gateAndUp().columns() / 2);
                out.add(new NormGatedLinear(p.rows(), norm.residual(), norm.scale(), norm.eps(), CudaWeight.of(w.gateAndUp()),
                        CudaWeight.of(w.gateAndUpBias()), hidden));
                out.add(down(p, hidden, p.out().equals(norm.residual())));
                i++;
            } else if (folded.get(i) instanceof GatedMlp p && isResidual(folded, i)) {
                out.addAll(halves(p));
            } else {
                out.add(folded.get(i));
            }
        }
        return out;
    }

    private boolean fits(CudaWeight w) {
        return matVec.choose(1, w.columns(), w.rows(), true) != null;
    }

    private static boolean feeds(AddRmsNorm norm, CudaBuffer in, CudaRows rows) {
        return norm.out().equals(in) && norm.rows().equals(rows);
    }

    private static Operation down(GatedMlp p, CudaBuffer hidden, boolean adds) {
        CudaWeight w = CudaWeight.of(p.weights().down());
        CudaWeight bias = CudaWeight.of(p.weights().downBias());
        return adds ? new LinearAdd(p.rows(), hidden, w, bias, p.out()) : new Linear(p.rows(), hidden, w, bias, p.out());
    }

    /** Whether rule 1 has made this MLP add to the residual: then the norm after it has no delta any more. */
    private static boolean isResidual(List<Operation> folded, int i) {
        return i + 1 < folded.size() && folded.get(i + 1) instanceof AddRmsNorm norm && norm.delta() == null
                && norm.residual().equals(((GatedMlp) folded.get(i)).out());
    }

    /** An MLP that adds to the residual but whose norm stays apart. */
    private static List<Operation> halves(GatedMlp p) {
        GatedLinear first = GatedLinear.of(p);
        return List.of(first, down(p, first.hidden(), true));
    }
}
