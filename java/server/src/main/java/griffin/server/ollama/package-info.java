/** Ollama's API: generate, chat, and what there is to say of the one model. */
package griffin.server.ollama;
