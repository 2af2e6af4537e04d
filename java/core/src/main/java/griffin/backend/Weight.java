package griffin.backend;

/** A weight that a backend has taken; only that backend knows its layout. */
public interface Weight {

    /** What it is. */
    WeightRole role();

    /** Bytes it occupies for the device, the mapped file included where it is read in place. */
    long bytes();
}
