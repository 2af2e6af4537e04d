/** Speed on an NVIDIA GPU against the card's own ceilings, and against other software. {@link griffin.benchmarks.gpu.Report} runs it. */
package griffin.benchmarks.gpu;
