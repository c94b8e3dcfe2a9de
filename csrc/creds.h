/* Who the program is: ids, groups, capabilities, no_new_privs, limits, seccomp filter. Run in the child, last before exec. */
#ifndef KL_CREDS_H
#define KL_CREDS_H

#include "plan.h"

/* Resource limits. Raising a hard limit needs CAP_SYS_RESOURCE; where that is missing the limit is left as it is. */
int creds_limits(const struct plan *plan, kl_error *err);

/* Tells the kernel's security modules what the program is to be confined by. It needs the host's procfs: what a container has
 * at /proc/self/attr may be anything (CVE-2019-16884). */
int creds_label(const struct plan *plan, kl_error *err);

/* Takes on the plan's identity for good. */
int creds_assume(const struct plan *plan, kl_error *err);

#endif
