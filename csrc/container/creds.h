/* Credentials of the program: ids, groups, capabilities, no_new_privs, limits, seccomp filter. Run
 * in the child, last before exec. */
#ifndef KL_CREDS_H
#define KL_CREDS_H

#include "plan.h"

/* Resource limits. Raising a hard limit needs CAP_SYS_RESOURCE; where that is missing the limit is
 * left as it is. */
int creds_limits(const struct plan *plan, kl_error *err);

/* Tells the kernel's security modules which label or profile confines the program from its
 * execution on. Needs the host's procfs: /proc/self/attr of a container may be anything
 * (CVE-2019-16884). */
int creds_label(const struct plan *plan, kl_error *err);

/* Changes to the plan's credentials, irrevocably. */
int creds_assume(const struct plan *plan, kl_error *err);

#endif
