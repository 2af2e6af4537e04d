// The step's own bookkeeping on the device. Exact rules: griffin.backend.host.HostAdvance.
//
//   advance          turns the step into the next decode step: one row a sequence, with the sampled token at the next position, unless the
//                    sequence ended (end id, cancelled, limit, not finite) or had no output row: then the row is parked on the scrap slot.
//   publish_result   copies this run's result to the host's ring and counts the ticket up. The last kernel of every program.
//
// Launch: grid 1, block 256. No dynamic shared memory. Bytes: about 200 a sequence.
#include "common.cuh"

__device__ __forceinline__ int status_after(const Step& step, int q, int token) {
    if (__ldcg(step.sampledOutputs + q) < 0) {
        return PARKED;
    }
    if (token == NOT_FINITE) {
        return FAILED;
    }
    for (int i = 0; i < MAX_END_IDS; i++) {
        int end = __ldcg(step.endIds + q * MAX_END_IDS + i);
        if (end >= 0 && token == end) {
            return ENDED;
        }
    }
    if (step.cancelled[q] != 0) {
        return CANCELLED;
    }
    return __ldcg(step.remaining + q) <= 1 ? LIMIT : RUNNING;
}

extern "C" __global__ void __launch_bounds__(256) advance(Step step) {
    pdl_launch_dependents();
    pdl_wait();
    const int sequences = step.sequences();
    // Row q of the next step is at or before the last row of sequence q: a round reads all it needs before it writes.
    for (int first = 0; first < sequences; first += blockDim.x) {
        const int q = first + threadIdx.x;
        const bool mine = q < sequences;
        int position = 0, token = 0, status = PARKED;
        if (mine) {
            position = __ldcg(step.positions + __ldcg(step.rowStarts + q + 1) - 1) + 1;
            token = __ldcg(step.ids + q);
            status = status_after(step, q, token);
        }
        __syncthreads();
        if (mine) {
            const bool runs = status == RUNNING;
            step.status[q] = status;
            step.tokens[q] = runs ? token : 0;
            step.positions[q] = runs ? position : 0;
            step.sampledOutputs[q] = runs ? q : -1;
            step.remaining[q] = int(unsigned(__ldcg(step.remaining + q)) - 1u);
            if (!runs) {
                step.slots[q] = step.scrapSlot;
            }
        }
        __syncthreads();
    }
    for (int q = threadIdx.x; q <= sequences; q += blockDim.x) {
        step.rowStarts[q] = q;
        if (q < sequences) {
            step.rowSequence[q] = q;
            step.outputRows[q] = q;
        }
    }
    if (threadIdx.x == 0) {
        step.counts[0] = sequences;
        step.counts[2] = sequences;
    }
}

extern "C" __global__ void __launch_bounds__(256) publish_result(Step step) {
    pdl_launch_dependents();
    pdl_wait();
    const int ticket = __ldcg(step.counts + 3), capacity = step.maxSequences, sequences = step.sequences();
    int* slot = step.published + size_t(unsigned(ticket) % RESULT_DEPTH) * step.publishedStride;
    // Ring slot: ticket word, then ids, status, log-probabilities [S], alternative ids, their log-probabilities [S, MAX_ALTERNATIVES].
    int* ids = slot + 1;
    int* status = ids + capacity;
    int* chosen = status + capacity;
    int* alternatives = chosen + capacity;
    int* theirs = alternatives + capacity * MAX_ALTERNATIVES;
    for (int q = threadIdx.x; q < sequences; q += blockDim.x) {
        ids[q] = __ldcg(step.ids + q);
        status[q] = __ldcg(step.status + q);
        chosen[q] = __float_as_int(__ldcg(step.logProbabilities + q));
    }
    for (int i = threadIdx.x; i < sequences * MAX_ALTERNATIVES; i += blockDim.x) {
        if (__ldcg(&step.sampling[i / MAX_ALTERNATIVES].logProbabilities) > 0) {
            alternatives[i] = __ldcg(step.alternativeIds + i);
            theirs[i] = __float_as_int(__ldcg(step.alternativeLogProbabilities + i));
        }
    }
    __threadfence_system();
    __syncthreads();
    if (threadIdx.x == 0) {
        *static_cast<volatile int*>(slot) = ticket + 1;
        step.counts[3] = ticket + 1;
    }
}
