package griffin;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;

/** The plainest prefix cache; it can be made to forget and to fail. */
class MapStore implements PrefixStore {

    private final Map<List<Integer>, Found> states = new HashMap<>();
    private final Random random;
    private final double faults;
    int puts;

    MapStore() {
        this(new Random(0), 0);
    }

    /** @param faults how often a call forgets everything, or fails */
    MapStore(Random random, double faults) {
        this.random = random;
        this.faults = faults;
    }

    private static List<Integer> key(int[] ids, int length) {
        return IntStream.range(0, length).mapToObj(i -> ids[i]).toList();
    }

    private void fault() {
        if (random.nextDouble() < faults) {
            states.clear();
            if (random.nextBoolean()) {
                throw new IllegalStateException("a cache that fails");
            }
        }
    }

    @Override
    public synchronized Optional<Found> find(int[] ids) {
        fault();
        for (int length = ids.length; length > 0; length--) {
            Found found = states.get(key(ids, length));
            if (found != null) {
                return Optional.of(found);
            }
        }
        return Optional.empty();
    }

    @Override
    public synchronized boolean contains(int[] ids, int length) {
        return states.containsKey(key(ids, length));
    }

    @Override
    public synchronized void put(int[] ids, int length, byte[] snapshot, float[] logits) {
        fault();
        puts++;
        states.put(key(ids, length), new Found(length, snapshot, logits));
    }

    synchronized List<Integer> lengths() {
        return states.keySet().stream().map(List::size).sorted().toList();
    }
}
