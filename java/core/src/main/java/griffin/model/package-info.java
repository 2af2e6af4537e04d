/** What a Griffin model is: its sizes, its blocks, its forward pass. */
package griffin.model;
