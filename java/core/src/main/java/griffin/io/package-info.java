/** Writing files, and what their errors say. Not exported. */
package griffin.io;
