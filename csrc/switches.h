/* A build for tests alone (-DKL_TEST_SWITCHES) can leave out one defence at a time, and makes a slip of its own that a defence
 * must render harmless: so it is shown that the tests of attacks would notice. In every other build there is nothing to switch. */
#ifndef KL_SWITCHES_H
#define KL_SWITCHES_H

#ifdef KL_TEST_SWITCHES
#include <stdbool.h>
bool switched_off(const char *defence);
/* Leaves a directory of the host open, to be inherited by the program. */
void slip(void);
#else
#define switched_off(defence) false
#define slip() ((void)0)
#endif

#endif
