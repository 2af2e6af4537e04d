/** What happens to generated text on its way to the caller. */
package griffin.text;
