/** Reads the JSON of model files: a strict scanner, trees on top of it, and objects with typed access. Not exported. */
package griffin.json;
