/** Open a model ({@link griffin.Griffin}), start a session ({@link griffin.Session}), generate, save and resume. */
package griffin;
