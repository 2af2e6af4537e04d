/** HTTP: who may ask, how much and how long, which path leads where, and what goes back. Knows no model. */
package griffin.server.http;
