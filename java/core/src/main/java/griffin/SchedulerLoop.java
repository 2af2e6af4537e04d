package griffin;

import griffin.session.Batch;
import griffin.session.Sequence;
import griffin.session.StateSnapshot;
import griffin.session.States;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;

/**
 * The scheduler's thread. In each turn it frees the places of generations that have ended, fills them from the queue, and runs one step of all that
 * can go on. It waits for nobody but the device, and for work when there is none.
 */
final class SchedulerLoop implements Runnable {

    /** Sees the steps; for tests. */
    interface StepListener {
        /** A step will run; {@code rows[i]} rows of {@code requests.get(i)}, the first {@code decoding} of which decode. */
        void step(List<Request> requests, int[] rows, int decoding);
    }

    private final Griffin griffin;
    private final States states;
    private final Intake intake;
    private final Prefixes prefixes;
    private final PrefixCopies copies;
    private final ResidentStates residents = new ResidentStates();
    private final int parallel;
    private final int batchRows;
    private final long patienceNanos;
    private final StepListener listener;
    final SchedulerCounts counts = new SchedulerCounts();
    private final Batch batch;
    private final List<Request> running = new ArrayList<>();
    /** Those of the step under way, in its order. */
    private final List<Request> stepping = new ArrayList<>();
    /** Their prompts are being looked up; each has a place. */
    private final Set<Request> lookedUp = new LinkedHashSet<>();
    private final int[] shares;
    private final Supplier<Boolean> exclusive = this::work;
    /** Requests whose prompt will be in the cache soon: equal ones wait for it. */
    private final Set<Request> promised = new LinkedHashSet<>();
    private volatile Thread thread;
    private volatile boolean closing;
    private volatile boolean signalled;
    private volatile boolean parked;

    /** @param prefixes null without a prefix cache */
    SchedulerLoop(Griffin griffin, Intake intake, Prefixes prefixes, int parallel, int batchRows, long patienceNanos,
            StepListener listener) {
        this.griffin = griffin;
        states = griffin.states();
        this.intake = intake;
        this.prefixes = prefixes;
        copies = new PrefixCopies(prefixes, states, counts, griffin.config().vocabulary());
        this.parallel = parallel;
        this.batchRows = batchRows;
        this.patienceNanos = patienceNanos;
        this.listener = listener;
        batch = new Batch(griffin.runner(), griffin.pool());
        shares = new int[parallel];
    }

    /** Something has changed that the loop should look at. From any thread. */
    void wake() {
        signalled = true;
        if (parked) {
            LockSupport.unpark(thread);
        }
    }

    /** Cancels everything and ends the thread. */
    void close() {
        closing = true;
        wake();
    }

    @Override
    public void run() {
        thread = Thread.currentThread();
        while (!(closing && running.isEmpty() && lookedUp.isEmpty() && intake.size() == 0)) {
            signalled = false; // whatever comes from now on is seen in this turn or makes another
            try {
                if (!turn()) {
                    rest();
                }
            } catch (Throwable e) { // the model was closed, or memory ran out between two steps
                failAll(e);
            }
        }
        griffin.exclusivelyIfOpen(() -> residents.shrink(0));
    }

    private void rest() {
        batch.forget();
        stepping.clear();
        long now = System.nanoTime();
        long nanos = Long.MAX_VALUE;
        for (Request request : running) {
            nanos = request.resting() ? Math.min(nanos, request.patience(now, patienceNanos)) : nanos;
        }
        parked = true;
        if (!signalled) {
            LockSupport.parkNanos(this, nanos);
        }
        parked = false;
    }

    /** Returns whether there was anything to do. */
    private boolean turn() {
        if (intake.size() > 0) {
            intake.remove(request -> closing || request.completion.cancelled()).forEach(this::endUnopened);
        }
        boolean work = intake.size() > 0 && running.size() + lookedUp.size() < parallel || prefixes != null && prefixes.hasReady();
        long now = System.nanoTime();
        for (int i = 0; i < running.size(); i++) {
            Request request = running.get(i);
            if (closing || request.completion.cancelled()) {
                request.run().stop();
            }
            request.watch(now, patienceNanos);
            work |= request.over() || request.steps();
        }
        return work && griffin.exclusively(exclusive);
    }

    /** With the device to itself. */
    private boolean work() {
        int before = running.size();
        retire();
        boolean admitted = admit();
        boolean stepped = step();
        retire();
        return stepped || admitted || running.size() != before;
    }

    // ---- coming

    private boolean admit() {
        boolean any = false;
        for (Prefixes.Ready found; prefixes != null && (found = prefixes.poll()) != null; any = true) {
            if (!lookedUp.remove(found.request())) {
                continue; // it has failed meanwhile
            }
            countPlaces();
            counts.lookedUp(found.tokens());
            if (closing || found.request().completion.cancelled()) {
                promised.remove(found.request());
                endUnopened(found.request());
            } else {
                open(found.request(), found, null);
            }
        }
        while (running.size() + lookedUp.size() < parallel) {
            Request request = intake.poll(this::mayCome);
            if (request == null) {
                return any;
            }
            any = true;
            if (prefixes != null && request.resume == null) {
                find(request);
            } else {
                open(request, null, null);
            }
        }
        return any;
    }

    private void find(Request request) {
        if (prefixes.keeps(request.promptIds.length) && request.maxTokens > 0) {
            promised.add(request);
        }
        ResidentStates.Resident resident = residents.take(request.promptIds);
        if (resident == null) {
            lookUp(request);
        } else {
            counts.lookedUp(resident.ids().length);
            open(request, null, resident);
        }
    }

    private void lookUp(Request request) {
        lookedUp.add(request);
        countPlaces();
        try {
            prefixes.lookUp(request);
        } catch (Throwable e) { // a cache that fails costs time, and no request
            lookedUp.remove(request);
            promised.remove(request);
            open(request, null, null);
        }
    }

    /** Not yet if an equal prompt is being read: it is read once, and then found. */
    private boolean mayCome(Request request) {
        for (Request other : promised) {
            if (request.resume == null && Arrays.equals(other.promptIds, request.promptIds)) {
                return false;
            }
        }
        return true;
    }

    /** @param found, resident what it goes on from, of which at most one is not null */
    private void open(Request request, Prefixes.Ready found, ResidentStates.Resident resident) {
        Sequence sequence = resident == null ? null : resident.sequence();
        int cached = resident != null ? resident.ids().length : found != null ? found.tokens() : 0;
        try {
            if (sequence == null) {
                residents.shrink(parallel - running.size() - 1);
                States.Checked state = found != null ? found.state() : request.resume;
                sequence = state != null ? states.restoreReserved(state) : states.createReserved();
            }
            request.open(sequence, cached, found == null ? null : found.logits());
        } catch (Throwable e) {
            request.fail(griffin.explain(e));
        }
        if (sequence == null) {
            endFailed(request);
            return;
        }
        if (cached == request.promptIds.length) {
            promised.remove(request);
        }
        counts.generated(request.generated());
        running.add(request);
        countPlaces();
    }

    private void countPlaces() {
        counts.running = running.size() + lookedUp.size();
    }

    // ---- going

    private void retire() {
        for (int i = 0; i < running.size(); i++) {
            if (running.get(i).over()) {
                end(running.remove(i--));
            }
        }
    }

    private void end(Request request) {
        countPlaces();
        Sequence sequence = request.sequence();
        StateSnapshot.Copy state = null;
        Generation result = null;
        if (!request.failed()) {
            try {
                copies.ofEnd(request);
                state = request.keepState ? states.copy(sequence) : null;
                result = request.result();
            } catch (Throwable e) {
                request.fail(griffin.explain(e));
            }
        }
        if (!copies.endsWhole(request) || !residents.keep(request)) {
            sequence.close();
        }
        if (request.failed()) {
            endFailed(request);
            return;
        }
        promised.remove(request);
        counts.ended(result.finishReason());
        intake.leaves();
        request.end(result, state);
        intake.ended();
    }

    private void endUnopened(Request request) {
        counts.ended(FinishReason.CANCELLED);
        intake.leaves();
        request.endUnopened();
        intake.ended();
    }

    private void endFailed(Request request) {
        promised.remove(request);
        counts.failed++;
        intake.leaves();
        request.endFailed();
        intake.ended();
    }

    private void failAll(Throwable why) {
        List<Request> all = intake.remove(request -> true);
        all.addAll(running);
        all.addAll(lookedUp);
        running.clear();
        lookedUp.clear();
        countPlaces();
        griffin.exclusivelyIfOpen(() -> residents.shrink(0));
        for (Request request : all) {
            request.fail(griffin.explain(why));
            griffin.exclusivelyIfOpen(() -> {
                if (request.sequence() != null) {
                    request.sequence().close();
                }
            });
            endFailed(request);
        }
    }

    // ---- a step

    private boolean step() {
        batch.clear();
        stepping.clear();
        for (int i = 0; i < running.size(); i++) {
            Request request = running.get(i);
            if (request.steps() && !request.reads()) {
                add(request, 1);
            }
        }
        int decoding = stepping.size();
        addPrompts();
        if (stepping.isEmpty()) {
            return false;
        }
        if (listener != null) {
            listener.step(List.copyOf(stepping), rowsOfStep(), decoding);
        }
        try {
            batch.run();
        } catch (Throwable e) {
            Throwable why = griffin.explain(e);
            stepping.forEach(request -> request.fail(why));
            return true;
        }
        counts.step(batch.rows(), batch.sequences(), batch.rows() - decoding);
        for (int i = 0; i < stepping.size(); i++) {
            take(i, i >= decoding);
        }
        return true;
    }

    private void add(Request request, int rows) {
        batch.add(request.run(), rows);
        stepping.add(request);
    }

    private void addPrompts() {
        int count = 0;
        for (int i = 0; i < running.size(); i++) {
            if (running.get(i).reads()) {
                shares[count++] = rowsWanted(running.get(i));
            }
        }
        RowShares.share(shares, count, batchRows);
        count = 0;
        for (int i = 0; i < running.size(); i++) {
            if (running.get(i).reads()) {
                add(running.get(i), shares[count++]);
            }
        }
    }

    /** Up to the end of the prompt, or to the next place whose state is to be stored. */
    private int rowsWanted(Request request) {
        int rows = request.run().rows();
        return copies.wanted(request) ? Math.min(rows, prefixes.rowsToBoundary(request.sequence().consumed())) : rows;
    }

    private int[] rowsOfStep() {
        int[] rows = new int[stepping.size()];
        Arrays.setAll(rows, batch::rowsOf);
        return rows;
    }

    private void take(int index, boolean read) {
        Request request = stepping.get(index);
        try {
            if (batch.take(index)) {
                request.token();
                counts.generated(1);
            }
            if (read && copies.ofPrompt(request, batch, index)) {
                promised.remove(request); // who looks it up now does so after it was stored
            }
        } catch (Throwable e) {
            request.fail(griffin.explain(e));
        }
    }
}
