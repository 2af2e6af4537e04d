/** What the server adds to the two APIs: its page, sessions and their states, health, measures. */
package griffin.server.own;
