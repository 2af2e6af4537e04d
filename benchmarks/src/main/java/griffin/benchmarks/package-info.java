/** What the runtime reaches of what the machine can do. {@link griffin.benchmarks.Main} runs everything. */
package griffin.benchmarks;
