/* The care command: what the shim runs when its pod needs somebody, an ordinary process of the
 * host. */
#ifndef KL_SHIM_COMMAND_H
#define KL_SHIM_COMMAND_H

/* Its argv, ended by NULL and with the program as a path, and the mount namespace to run it in. */
void command_prepare(char **argv, int mounts);

/* The shim becomes the command. Returns where that fails. */
void command_exec(void);

/* Runs the command beside the shim. */
void command_spawn(void);

#endif
