package griffin.hub;

/**
 * What a test sets otherwise.
 *
 * @param patience   how long the hub is waited for
 * @param rangeBytes bytes of a range: what a pull that is killed may have to fetch again, for each connection
 * @param disk       how files are opened
 */
record PullLimits(Patience patience, long rangeBytes, DiskFile.Opener disk) {

    static final PullLimits USUAL = new PullLimits(Patience.USUAL, 32 << 20, DiskFile::open);
}
