/** Models by name. {@link griffin.hub.ModelStore} fetches, finds, lists and removes them. */
package griffin.hub;
