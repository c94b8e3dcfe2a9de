/*
 * The whole surface that Python sees. What stands between the two marks is lifted verbatim into the cffi module, so there
 * is no second copy of it. Bytes, integers and descriptors cross; no callback, and no pointer is kept after a call.
 *
 * Every function that can fail returns -1 and fills *err; descriptors it returns are close-on-exec and belong to the caller.
 */
#ifndef KUBELITE_H
#define KUBELITE_H

#include <stddef.h>
#include <stdint.h>

/* cffi: begin */

/* What failed: errno value, the step ("mount volume"), and the object it was done to ("data at /srv"). */
typedef struct kl_error {
    int32_t code;
    char step[48];
    char object[256];
} kl_error;

/* Checks a launch plan wholly. Returns 0 when every offset, count and value in it is sound. */
int kl_plan_check(const uint8_t *bytes, size_t size, size_t descriptors, kl_error *err);

/* Writes the decoded plan as text (one "key value" line per item) into out; returns the length needed without the NUL. */
int kl_plan_text(const uint8_t *bytes, size_t size, char *out, size_t room, kl_error *err);

/* Starts the program behind `program` (a descriptor) detached from the caller, as a child of nobody. `argv` and `envp` are
 * NUL-separated strings ended by an empty one. fds[i] becomes descriptor 3 + i of the program; all others are closed.
 * Returns the pid and stores a pidfd in *pidfd. */
int kl_shim_launch(int program, const char *argv, const char *envp, const int *fds, size_t count, int *pidfd,
                   kl_error *err);

/* Makes sure that the bridge exists, is up and has the address; returns 1 when it was made now, 0 when it was there.
 * IPv4 addresses are in host byte order, here and below. */
int kl_net_bridge(const char *name, uint32_t address, uint32_t prefix, kl_error *err);

/* The whole network of a pod: loopback, and `pod_name` in the namespace behind `netns` with address and default route,
 * its other end `host_name` a port of the bridge. An interface `host_name` that is there already is replaced. Returns 0; on
 * failure nothing of it stays. */
int kl_net_attach(int netns, const char *bridge, const char *host_name, const char *pod_name, uint32_t address,
                  uint32_t prefix, uint32_t gateway, kl_error *err);

/* Removes an interface, and with one end of a pair the other; returns 1 when it was there, 0 when it was not. */
int kl_net_delete(const char *name, kl_error *err);

/* cffi: end */

#endif
