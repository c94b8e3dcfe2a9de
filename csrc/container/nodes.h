/* Device nodes of a container: the default ones, and fresh nodes that share no inode with the host.
 * A bind of the host's /dev/null would let a container change its mode, owner and times. */
#ifndef KL_NODES_H
#define KL_NODES_H

#include <sys/types.h>

#include "error.h"

#define DEFAULT_NODES 6

struct node {
    const char *name;
    unsigned major, minor;
};

/* The nodes every container has (OCI runtime specification, "Default Devices"). */
static const struct node default_nodes[DEFAULT_NODES] = {{"null", 1, 3},    {"zero", 1, 5},
                                                         {"full", 1, 7},    {"random", 1, 8},
                                                         {"urandom", 1, 9}, {"tty", 5, 0}};

/* A tmpfs for fresh nodes, attached at the directory `place` for as long as nodes are made. */
int nodes_open(int place, kl_error *err);

/* Makes a node, with S_IFCHR, S_IFBLK or S_IFDIR in `mode` (the umask applies); returns a detached
 * mount of it. */
int nodes_make(int fs, const char *name, mode_t mode, dev_t device, kl_error *err);

/* Detaches the tmpfs, which the mounts of its nodes keep alive; the working directory becomes
 * "/". */
int nodes_close(int fs, kl_error *err);

#endif
