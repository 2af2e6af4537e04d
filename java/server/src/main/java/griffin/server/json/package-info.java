/** JSON in and out: what a client sent, judged field by field, and what it gets. */
package griffin.server.json;
