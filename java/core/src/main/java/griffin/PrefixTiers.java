package griffin;

import griffin.cache.PrefixFolder;
import griffin.cache.PrefixFolder.Found;
import griffin.cache.PrefixIndex;
import griffin.cache.PrefixIndex.Entry;
import griffin.cache.PrefixKey;
import griffin.error.StateFormatException;
import griffin.io.FileErrors;
import griffin.session.Packing;
import griffin.session.SnapshotHeader;
import griffin.session.StateSnapshot;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.NavigableSet;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** The two tiers of a {@link PrefixCache}: memory, and a directory behind it. */
final class PrefixTiers implements AutoCloseable {

    private final byte[] identity;
    private final long memory;
    private final long diskBudget;
    private final StateCompression compression;
    private final PrefixFolder folder;
    /** Compresses and writes, one after the other; null if there is nothing of that to do. */
    private final ExecutorService background;
    private final PrefixIndex index;
    // Guarded by the index, as the index is.
    private boolean closed;
    private long hits;
    private long diskHits;
    private long misses;
    private long hitTokens;
    private long puts;
    private long refused;
    private long unwritten;
    private String lastFailure = "";
    private long plainBytes;
    private long storedBytes;

    PrefixTiers(byte[] identity, long memory, Path directory, long diskBudget, StateCompression compression) {
        this.identity = identity;
        this.memory = memory;
        this.diskBudget = directory == null ? 0 : diskBudget;
        this.compression = compression;
        index = new PrefixIndex(memory);
        folder = directory == null ? null : new PrefixFolder(directory, identity, lossy(), diskBudget);
        try {
            list();
        } catch (IOException e) {
            throw new UncheckedIOException(directory + " cannot be read: " + FileErrors.reason(e), e);
        }
        boolean settles = folder != null || compression == StateCompression.LOSSLESS;
        background = settles ? Executors.newSingleThreadExecutor(PrefixTiers::thread) : null;
    }

    private boolean lossy() {
        return compression == StateCompression.Q8;
    }

    private static Thread thread(Runnable work) {
        Thread thread = new Thread(work, "griffin-prefix-cache");
        thread.setDaemon(true);
        return thread;
    }

    // ---- searching

    /** The longest prefix of {@code ids} that is stored, up to all of them. */
    Optional<PrefixCache.Hit> find(int[] ids) {
        tryToList();
        for (PrefixKey key : PrefixKey.all(identity, ids, ids.length, lengths())) {
            Optional<PrefixCache.Hit> hit = fromMemory(key);
            if (hit.isEmpty() && folder != null) {
                hit = fromDisk(key, ids);
            }
            if (hit.isPresent()) {
                return hit;
            }
        }
        synchronized (index) {
            misses++;
        }
        return Optional.empty();
    }

    private NavigableSet<Integer> lengths() {
        synchronized (index) {
            return index.lengths();
        }
    }

    private Optional<PrefixCache.Hit> fromMemory(PrefixKey key) {
        synchronized (index) {
            Entry entry = index.get(key);
            if (entry == null || entry.snapshot() == null) {
                return Optional.empty();
            }
            index.use(entry);
            hits++;
            hitTokens += key.length();
            touch(entry);
            return Optional.of(new PrefixCache.Hit(key.length(), entry.snapshot(), entry.logits()));
        }
    }

    /** Reads a file if there is one, and keeps what it has in memory. */
    private Optional<PrefixCache.Hit> fromDisk(PrefixKey key, int[] ids) {
        synchronized (index) {
            Entry entry = index.get(key);
            if (entry == null || !entry.onDisk()) {
                return Optional.empty();
            }
        }
        Found found = read(key, ids);
        synchronized (index) {
            if (found instanceof Found.Whole whole) {
                hits++;
                diskHits++;
                hitTokens += key.length();
                if (PrefixIndex.bytesOf(whole.snapshot(), whole.logits()) <= memory) {
                    index.use(index.hold(key, whole.snapshot(), whole.logits(), false));
                }
                return Optional.of(new PrefixCache.Hit(key.length(), whole.snapshot(), whole.logits()));
            }
            refused += found instanceof Found.Refused ? 1 : 0;
            Entry entry = index.get(key);
            if (entry != null) {
                index.offDisk(entry);
            }
            return Optional.empty();
        }
    }

    private Found read(PrefixKey key, int[] ids) {
        try {
            Found found = folder.read(key);
            if (found instanceof Found.Whole whole && !isOurs(whole.snapshot(), ids, key.length())) {
                folder.refuse(key);
                return new Found.Refused();
            }
            return found;
        } catch (IOException e) {
            note(e);
            return new Found.Gone();
        }
    }

    private boolean isOurs(byte[] snapshot, int[] ids, int length) {
        try {
            SnapshotHeader header = StateSnapshot.header(MemorySegment.ofArray(snapshot), "a snapshot of the prefix cache");
            return Arrays.equals(header.identity(), identity) && header.isOf(ids, length) && lossy() == (header.packing() == Packing.Q8);
        } catch (StateFormatException e) {
            return false;
        }
    }

    boolean contains(PrefixKey key) {
        tryToList();
        synchronized (index) {
            return index.get(key) != null;
        }
    }

    // ---- storing

    /** @param plain bytes of the state in float32 */
    void put(int[] ids, int length, byte[] snapshot, long plain, float[] logits) {
        byte[] kept = lossy() ? StateSnapshot.repack(snapshot, Packing.Q8) : snapshot;
        PrefixKey key = PrefixKey.of(identity, ids, length);
        boolean fits = PrefixIndex.bytesOf(kept, logits) <= memory;
        synchronized (index) {
            if (closed) {
                throw new IllegalStateException("this prefix cache has been closed");
            }
            noteContinued(ids, length);
            Entry entry = index.get(key);
            if (entry != null && (logits == null || entry.logits() != null)) {
                index.use(entry);
                touch(entry);
                return;
            }
            puts++;
            plainBytes += plain;
            storedBytes += kept.length;
            if (fits) {
                boolean waits = entry != null && entry.pending();
                Entry held = index.hold(key, kept, logits, background != null);
                if (background != null && !waits) {
                    background.execute(() -> settle(held));
                }
            }
        }
        if (!fits && folder != null) {
            write(key, packed(kept), logits);
        }
    }

    /** The longest stored prefix of what is put is shared by it from now on. */
    private void noteContinued(int[] ids, int length) {
        for (PrefixKey key : PrefixKey.all(identity, ids, length - 1, index.lengths())) {
            Entry entry = index.get(key);
            if (entry != null) {
                index.use(entry);
                touch(entry);
                return;
            }
        }
    }

    private void touch(Entry entry) {
        if (folder != null && entry.onDisk()) {
            folder.touch(entry.key());
        }
    }

    /** Compresses and writes what was put. */
    private void settle(Entry entry) {
        byte[] snapshot;
        float[] logits;
        synchronized (index) {
            entry.settled();
            snapshot = entry.snapshot();
            logits = entry.logits();
            unwritten += snapshot == null && folder != null ? 1 : 0;
        }
        if (snapshot == null) {
            return;
        }
        byte[] packed = packed(snapshot);
        synchronized (index) {
            if (packed != snapshot && entry.snapshot() == snapshot) {
                index.hold(entry.key(), packed, entry.logits(), false);
                storedBytes += packed.length - snapshot.length;
            }
        }
        if (folder != null) {
            write(entry.key(), packed, logits);
        }
    }

    /** The shorter form, if there is one. */
    private byte[] packed(byte[] snapshot) {
        if (compression != StateCompression.LOSSLESS) {
            return snapshot;
        }
        SnapshotHeader header = StateSnapshot.header(MemorySegment.ofArray(snapshot), "the snapshot");
        byte[] packed = header.packing() == Packing.NONE ? StateSnapshot.repack(snapshot, Packing.LOSSLESS) : snapshot;
        return packed.length < snapshot.length ? packed : snapshot;
    }

    private void write(PrefixKey key, byte[] snapshot, float[] logits) {
        try {
            boolean written = folder.write(key, snapshot, logits);
            synchronized (index) {
                unwritten += written ? 0 : 1;
            }
            list();
        } catch (IOException e) {
            note(e);
            synchronized (index) {
                unwritten++;
            }
        }
    }

    // ---- the directory

    private void tryToList() {
        try {
            list();
        } catch (IOException e) {
            note(e);
        }
    }

    /** Takes in what this process and others have written and removed. */
    private void list() throws IOException {
        if (folder == null) {
            return;
        }
        synchronized (folder) {
            Map<PrefixKey, Long> files = folder.changes();
            if (files == null) {
                return;
            }
            synchronized (index) {
                for (Entry entry : List.copyOf(index.entries())) {
                    if (entry.onDisk() && !files.containsKey(entry.key())) {
                        index.offDisk(entry);
                    }
                }
                files.forEach(index::onDisk);
            }
        }
    }

    private void note(IOException e) {
        synchronized (index) {
            lastFailure = e.toString();
        }
    }

    // ---- the whole

    CacheStatistics statistics() {
        synchronized (index) {
            long[] disk = index.disk();
            return new CacheStatistics(index.inMemory(), index.bytes(), memory, (int) disk[0], disk[1],
                    diskBudget, hits, diskHits, misses, hitTokens, puts, index.evictions(), refused, unwritten,
                    lastFailure, plainBytes, storedBytes);
        }
    }

    void flush() throws InterruptedException {
        if (background == null || background.isShutdown()) {
            return;
        }
        try {
            background.submit(() -> {}).get();
        } catch (ExecutionException e) {
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void close() {
        synchronized (index) {
            closed = true;
        }
        if (background != null) {
            background.close();
        }
    }
}
