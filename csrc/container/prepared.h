/* What a container in a pod's user namespace takes along from the host, opened before it joins. */
#ifndef KL_PREPARED_H
#define KL_PREPARED_H

#include "nodes.h"

/* Detached mounts, -1 where there is none: the root, the default devices, a null device that covers
 * masked files, and one for each mount and device of the plan. */
struct prepared {
    int root, nodes[DEFAULT_NODES], cover;
    int *mounts, *devices;
};

#endif
