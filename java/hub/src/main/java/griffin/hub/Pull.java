package griffin.hub;

import griffin.error.HubException;
import griffin.io.FileErrors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;

/** One pull of one model, by whoever holds its lock. */
final class Pull {

    private static final String GEMMA_NOTICE = "Gemma's terms of use (https://ai.google.dev/gemma/terms) are for this model and what it "
            + "writes; who uses it agrees to them. This is said once.";
    /** Left free: manifest, journals, folders. */
    private static final long SPARE_BYTES = 16 << 20;

    private final Path store;
    private final ModelFolder model;
    private final HubSettings settings;
    private final PullListener listener;
    private final PullLimits limits;
    private final AtomicBoolean failing = new AtomicBoolean();
    private final Set<HubFile> faulty = new HashSet<>();
    private final Set<HubFile> whole = new HashSet<>();
    private final Object telling = new Object();
    /** Bytes of the files that are complete. */
    private long complete;
    private long there;
    private long total;

    Pull(Path store, ModelFolder model, HubSettings settings, PullListener listener, PullLimits limits) {
        this.store = store;
        this.model = model;
        this.settings = settings;
        this.listener = listener;
        this.limits = limits;
    }

    Path run() {
        try (Hub hub = new Hub(settings, model.name, limits.patience(), () -> failing.get() || listener.cancelled())) {
            if (hub.keepsTokenBack()) {
                note("the " + settings.token().orElseThrow() + " is not sent: the way to " + settings.hub() + " is not encrypted");
            }
            Hub.Repository repository = hub.describe();
            Optional<Path> here = model.atCommit(repository.commit());
            if (here.isPresent()) {
                return here.get();
            }
            remindOnce();
            model.prepare(repository.commit());
            return fetch(hub, repository);
        } catch (IOException e) {
            throw new HubException("the folder of models " + store + " cannot be written: " + FileErrors.reason(e)
                    + ": make it writable, or name another in "
                    + ModelStore.VARIABLE, e);
        }
    }

    private void remindOnce() throws IOException {
        Path told = store.resolve(".told").resolve("gemma");
        if (model.name.isGemma() && !Files.exists(told)) {
            note(GEMMA_NOTICE);
            Files.createDirectories(told.getParent());
            StoreFiles.write(told, GEMMA_NOTICE + "\n");
        }
    }

    private Path fetch(Hub hub, Hub.Repository repository) throws IOException {
        Path folder = model.files(repository.commit());
        Selection selection = new Selection(hub, repository, model.name);
        List<HubFile> all = new ArrayList<>(selection.first());
        fetch(hub, repository, all, false);
        List<HubFile> rest = selection.rest(folder);
        all.addAll(rest);
        total = sum(all);
        fetch(hub, repository, rest, true);
        deleteOthers(folder, all);
        return model.complete(new Manifest(model.name, settings.hub().toString(), repository.commit(),
                Instant.now().truncatedTo(ChronoUnit.SECONDS), all));
    }

    private static long sum(List<HubFile> files) {
        return files.stream().mapToLong(HubFile::bytes).sum();
    }

    /** What an earlier pull of the same commit took and this one does not. */
    private static void deleteOthers(Path folder, List<HubFile> files) throws IOException {
        Set<String> names = new HashSet<>();
        files.forEach(file -> names.add(file.name()));
        try (var entries = Files.list(folder)) {
            for (Path other : entries.filter(path -> !names.contains(path.getFileName().toString())).toList()) {
                StoreFiles.delete(other);
            }
        }
    }

    /** Fetches files until each has the hash it must have; one that has to begin anew does so once. */
    private void fetch(Hub hub, Hub.Repository repository, List<HubFile> files, boolean tell) {
        boolean telling = tell;
        for (List<HubFile> left = files; !left.isEmpty(); telling = false) {
            left = round(hub, repository, left, telling);
        }
    }

    /** One attempt at some files; returns those that are not complete after it. */
    private List<HubFile> round(Hub hub, Hub.Repository repository, List<HubFile> files, boolean tell) {
        List<PartialFile> open = new ArrayList<>();
        List<HubFile> bad = new ArrayList<>();
        Transfer.Fault fault = null;
        try {
            for (HubFile file : files) {
                open.add(open(repository, file));
            }
            long present = open.stream().mapToLong(PartialFile::done).sum();
            checkSpace(sum(files) - present);
            if (tell) {
                listener.started(new PullListener.Plan(model.name, settings.hub().getHost(), repository.commit(),
                        files.size(), sum(files), present));
            }
            there = complete + present;
            failing.set(false);
            new Transfer(hub, repository, failing, this::gained).run(open, settings.connections());
            for (PartialFile file : open) {
                if (!file.checksum().equals(file.file.checksum().hex())) {
                    bad.add(file.file);
                } else {
                    complete += file.file.bytes();
                }
            }
        } catch (Transfer.Fault e) {
            fault = e;
        } catch (Throwable e) {
            close(open, e);
            throw e;
        }
        close(open, null);
        if (fault != null) {
            again(repository, fault.file, fault.whole, fault.getMessage());
            return files;
        }
        bad.forEach(file -> again(repository, file, false, "its content does not have the hash that the hub tells, " + file.checksum()));
        return bad;
    }

    private PartialFile open(Hub.Repository repository, HubFile file) {
        long range = whole.contains(file) ? Math.max(1, file.bytes()) : Math.max(limits.rangeBytes(), (file.bytes() >> 20) + 1);
        return new PartialFile(model.files(repository.commit()).resolve(file.name()), model.ranges(repository.commit()), file, range,
                limits.disk());
    }

    private static void close(List<PartialFile> files, Throwable because) {
        HubException failed = null;
        for (PartialFile file : files) {
            try {
                file.close();
            } catch (HubException e) {
                failed = e;
            }
        }
        if (because != null && failed != null) {
            because.addSuppressed(failed);
        } else if (failed != null) {
            throw failed;
        }
    }

    /** Deletes what is there of a file. */
    private void again(Hub.Repository repository, HubFile file, boolean inOneRange, String reason) {
        try {
            Files.deleteIfExists(model.files(repository.commit()).resolve(file.name()));
            Files.deleteIfExists(model.ranges(repository.commit()).resolve(file.name()));
        } catch (IOException e) {
            throw new HubException(file.name() + " of " + model.name + " cannot be deleted: " + FileErrors.reason(e), e);
        }
        if (inOneRange) {
            whole.add(file);
        } else if (faulty.add(file)) {
            note(file.name() + ": " + reason + "; deleted, and fetched again");
        } else {
            throw new HubException(
                    file.name() + " of " + model.name + ": " + reason + ", also when fetched again; it was deleted. The copy at "
                            + settings.hub() + " is damaged, or something on the way changes it: try again later, or another hub");
        }
    }

    private void checkSpace(long needed) {
        try {
            long free = Files.getFileStore(model.path()).getUsableSpace();
            if (free < needed + SPARE_BYTES) {
                throw new HubException(model.name + " needs " + needed + " more bytes, and the disk of " + store + " has " + free
                        + " free: make room, or name a folder on a larger disk in " + ModelStore.VARIABLE);
            }
        } catch (IOException e) {
            throw new HubException("the free space of " + store + " cannot be told: " + FileErrors.reason(e), e);
        }
    }

    private void note(String sentence) {
        synchronized (telling) {
            listener.note(sentence);
        }
    }

    private void gained(long bytes) {
        synchronized (telling) {
            there += bytes;
            if (total > 0) {
                listener.progress(there, total);
            }
        }
    }
}
