package griffin.backend;

/**
 * What a device is.
 *
 * @param kind  the word after {@code --device}: cpu, cuda, metal or reference
 * @param name  the processor or card, with what matters for speed (cores, vector width)
 * @param memoryBytes memory the device can use in all
 */
public record DeviceInfo(String kind, String name, long memoryBytes) {}
