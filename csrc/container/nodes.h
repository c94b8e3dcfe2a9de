/* The nodes every container has (OCI runtime specification, "Default Devices"). */
#ifndef KL_NODES_H
#define KL_NODES_H

#define DEFAULT_NODES 6

struct node {
    const char *name;
    unsigned major, minor;
};

static const struct node default_nodes[DEFAULT_NODES] = {{"null", 1, 3},    {"zero", 1, 5},
                                                         {"full", 1, 7},    {"random", 1, 8},
                                                         {"urandom", 1, 9}, {"tty", 5, 0}};

#endif
