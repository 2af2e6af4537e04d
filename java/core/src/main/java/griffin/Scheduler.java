package griffin;

import griffin.error.BusyException;
import griffin.error.InvalidRequestException;
import griffin.error.StateFormatException;
import griffin.sampling.SamplingParams;
import griffin.session.Sequence;
import griffin.session.States;
import griffin.tokenizer.Tokenizer;
import java.time.Duration;
import java.util.concurrent.ThreadFactory;

/**
 * Runs generations of one model side by side: sequences join and leave between two steps of the device. Every result is the one that a
 * {@link Session} alone would give. Sessions of the same model can be used meanwhile; they take turns with the scheduler, step by step where
 * they stream, call by call where they generate.
 *
 * <pre>{@code
 * try (Griffin griffin = Griffin.builder(files).parallel(8).open(); Scheduler scheduler = Scheduler.builder(griffin).start()) {
 *     Completion one = scheduler.submit(Job.of(ids, GenerationOptions.DEFAULT));
 *     for (Optional<Completion.Piece> piece; (piece = one.next()).isPresent();) {
 *         System.out.print(piece.get().text());
 *     }
 * }
 * }</pre>
 */
public final class Scheduler implements AutoCloseable {

    private final Griffin griffin;
    private final Intake intake;
    private final Prefixes prefixes;
    private final SchedulerLoop loop;
    private final Thread thread;
    private final int parallel;
    private final int waiting;
    private final int backlog;
    private final Tokenizer tokenizer;
    private final int[] endIds;
    private boolean released;

    private Scheduler(Builder b) {
        griffin = b.griffin;
        parallel = b.parallel;
        waiting = b.waiting;
        backlog = b.backlog;
        tokenizer = griffin.hasTokenizer() ? griffin.tokenizer() : null;
        endIds = griffin.endIds();
        intake = new Intake(b.parallel, b.waiting);
        griffin.exclusively(() -> {
            griffin.states().identity(); // made now, not by the first who saves a state; it may fail, so before the slots are taken
            griffin.pool().reserve(parallel);
            return null;
        });
        Prefixes opened = null;
        try {
            opened = b.store == null ? null
                    : new Prefixes(b.store, griffin.states(), b.interval == 0 ? griffin.chunk() : b.interval, b.least, this::wake);
            prefixes = opened;
            loop = new SchedulerLoop(griffin, intake, prefixes, parallel, b.rows(), b.patience.toNanos(), b.listener);
            thread = b.threads.newThread(loop);
            thread.setName("griffin-scheduler");
            thread.setDaemon(true);
            thread.start();
        } catch (Throwable e) {
            if (opened != null) {
                opened.close();
            }
            release();
            throw e;
        }
    }

    private void wake() {
        loop.wake();
    }

    /** A scheduler for a model that was opened with {@link GriffinBuilder#parallel}. */
    public static Builder builder(Griffin griffin) {
        return new Builder(griffin);
    }

    /** How a scheduler works. */
    public static final class Builder {

        /** Tokens below which reading a prompt is cheaper than storing and restoring its state. */
        private static final int LEAST_STORED = 32;

        private final Griffin griffin;
        private int parallel;
        private int batch;
        private int waiting = 128;
        private PrefixStore store;
        private int interval;
        private int least = LEAST_STORED;
        private int backlog = Completion.BACKLOG;
        private Duration patience = Duration.ofSeconds(Completion.PATIENCE_SECONDS);
        private SchedulerLoop.StepListener listener;
        private ThreadFactory threads = Thread::new;

        private Builder(Griffin griffin) {
            this.griffin = griffin;
            parallel = griffin.parallel();
        }

        /** The most generations at once, by default as many as the model was opened for; each has a state slot set aside. */
        public Builder parallel(int sequences) {
            parallel = require("parallel", sequences, 1, griffin.parallel(), "sequences the model was opened for");
            return this;
        }

        /**
         * The most prompt rows of a step, by default the model's chunk. It bounds how long a prompt that is read holds up those who
         * generate: every one of them has a row in every step.
         */
        public Builder batch(int rows) {
            batch = require("batch", rows, 1, griffin.chunk(), "tokens of the model's chunk");
            return this;
        }

        /** The most jobs that wait for a place, 128 by default. */
        public Builder waiting(int requests) {
            waiting = require("waiting", requests, 1, 1 << 20, "requests");
            return this;
        }

        /** Tokens of a prompt between two states that the prefix cache is given, by default the model's chunk. */
        public Builder cacheInterval(int tokens) {
            interval = require("the cache interval", tokens, 1, 1 << 20, "tokens");
            return this;
        }

        /** Where states of prompts are kept, and looked for before a prompt is read; null, the default, for nowhere. Stays open. */
        public Builder prefixCache(PrefixCache cache) {
            return prefixes(cache == null ? null : PrefixStore.of(cache));
        }

        /** The same; for tests. */
        Builder prefixes(PrefixStore value) {
            store = value;
            return this;
        }

        /** For tests: the least tokens of a state that is kept. */
        Builder leastCached(int tokens) {
            least = tokens;
            return this;
        }

        /** For tests: what a slow consumer may leave, and for how long. */
        Builder consumers(int pieces, Duration limit) {
            backlog = pieces;
            patience = limit;
            return this;
        }

        /** For tests: told of every step before it runs, on the scheduler's thread. */
        Builder listener(SchedulerLoop.StepListener value) {
            listener = value;
            return this;
        }

        /** For tests: makes the scheduler's thread. */
        Builder threads(ThreadFactory value) {
            threads = value;
            return this;
        }

        private int rows() {
            return Math.max(batch == 0 ? griffin.chunk() : batch, 1);
        }

        /**
         * Starts the scheduler's thread.
         *
         * @throws griffin.error.DeviceMemoryException when open sessions leave too few state slots
         */
        public Scheduler start() {
            if (rows() < parallel) {
                throw new InvalidRequestException("a step of " + rows() + " prompt rows cannot serve " + parallel
                        + " prompts at once: ask for as many rows as sequences, or open the model with a larger chunk");
            }
            return new Scheduler(this);
        }

        private static int require(String name, int value, int least, int most, String what) {
            if (value < least || value > most) {
                throw new InvalidRequestException(name + " must be " + least + " to " + most + " " + what + ", not " + value);
            }
            return value;
        }
    }

    /**
     * Queues a generation.
     *
     * @throws BusyException           when the queue is full, or {@link #drain} was called
     * @throws InvalidRequestException when an id is not the model's, there is nothing to continue, or stop strings need a tokenizer
     * @throws StateFormatException    when the state to resume is damaged or another model's
     * @throws IllegalStateException   after {@link #close}
     */
    public Completion submit(Job job) {
        intake.requireRoom();
        Sequence.check(job.promptIds(), griffin.config().vocabulary());
        if (job.promptIds().length == 0 && job.resume() == null) {
            throw new InvalidRequestException("there is nothing to continue: the prompt is empty and no state is resumed");
        }
        GenerationOptions options = job.options();
        SamplingParams sampling = options.sampling() != null ? options.sampling() : griffin.defaultSampling();
        States.Checked resume = job.resume() == null ? null : griffin.states().check(job.resume(), "the state to resume");
        Completion completion = new Completion(backlog, this::wake);
        intake.add(new Request(job, sampling, options.ignoreEos() ? new int[0] : endIds, tokenizer, resume, completion));
        loop.wake();
        return completion;
    }

    /** The most jobs that it can have at once: those with a state slot and those that wait for one. */
    public int places() {
        return parallel + waiting;
    }

    /** What it does and has done. */
    public SchedulerStatistics statistics() {
        return loop.counts.statistics(intake.size(), parallel, intake.refused());
    }

    /**
     * Takes no new jobs, and waits until all that were taken have ended.
     *
     * @return false when {@code limit} was too short; those that are left go on
     */
    public boolean drain(Duration limit) throws InterruptedException {
        return intake.drain(limit);
    }

    /** Cancels what runs and waits, and gives the state slots back. */
    @Override
    public void close() {
        intake.close();
        loop.close();
        boolean interrupted = false;
        while (thread.isAlive()) {
            try {
                thread.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (prefixes != null) {
            prefixes.close();
        }
        release();
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private synchronized void release() {
        if (!released) {
            released = true;
            griffin.exclusivelyIfOpen(() -> griffin.pool().unreserve(parallel));
        }
    }
}
