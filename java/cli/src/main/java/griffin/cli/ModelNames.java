package griffin.cli;

import griffin.hub.ModelName;
import java.util.Iterator;

/** Google's models, for completion. */
final class ModelNames implements Iterable<String> {

    @Override
    public Iterator<String> iterator() {
        return ModelName.known().iterator();
    }
}
