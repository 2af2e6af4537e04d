/** Model files as they lie on disk: safetensors, directories and jars, memory-mapped and checked, no knowledge of layers. */
package griffin.weights;
