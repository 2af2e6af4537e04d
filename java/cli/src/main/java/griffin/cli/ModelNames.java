package griffin.cli;

import griffin.hub.ModelName;
import java.util.List;

/** Google's models, for completion. */
final class ModelNames extends Words {
    ModelNames() {
        super(List.copyOf(ModelName.known()));
    }
}
