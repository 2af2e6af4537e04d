/** OpenAI's API: models, completions, chat completions. */
package griffin.server.openai;
