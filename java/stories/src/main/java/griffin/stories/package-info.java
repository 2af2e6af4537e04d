/** The default model, in a jar of its own, so that only who wants it carries it. */
package griffin.stories;
