/** Writing files. Not exported. */
package griffin.io;
