/* Masked and read-only paths of a container. */
#ifndef KL_MASK_H
#define KL_MASK_H

#include "plan.h"

struct prepared;

/* Covers the plan's masked paths: directories with an empty read-only tmpfs, anything else with a
 * null device, mounted read-only. Missing paths need no cover. */
int mask_paths(const struct plan *plan, int root, struct prepared *prepared, kl_error *err);

/* Makes the plan's read-only paths read-only, with what is mounted below them. */
int mask_make_readonly(const struct plan *plan, int root, kl_error *err);

#endif
