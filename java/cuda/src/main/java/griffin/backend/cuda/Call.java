package griffin.backend.cuda;

/** Something that was prepared once and is issued to the stream, or into a graph, again and again. */
interface Call {

    /** Queues it for a step of that extent; does nothing where there are no rows. */
    void issue(Extent extent);
}
