/** What both APIs do with a model: prompts, generations, sessions and measures. Knows no HTTP beyond its errors. */
package griffin.server.engine;
