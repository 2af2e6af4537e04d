package griffin.server.standin;

import griffin.GenerationOptions;

public record Job(int[] promptIds, GenerationOptions options, byte[] resume, boolean keepState) {
    public static Job of(int[] ids, GenerationOptions options) {
        return new Job(ids, options, null, false);
    }
}
