package griffin.hub;

import java.nio.file.Path;
import java.time.Instant;

/**
 * A model that is here, whole.
 *
 * @param name     what it is called
 * @param bytes    of its files
 * @param revision the commit it was fetched at
 * @param pulled   when
 * @param path     its folder, which {@code griffin.Griffin} opens
 */
public record Installed(ModelName name, long bytes, String revision, Instant pulled, Path path) {}
