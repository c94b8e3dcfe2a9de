/* A build for tests only (-DKL_TEST_SWITCHES) can disable one defence at a time, and leaks a
 * descriptor on purpose, which a defence must close: this shows that the tests of attacks can fail.
 * In every other build nothing can be disabled. */
#ifndef KL_SWITCHES_H
#define KL_SWITCHES_H

#ifdef KL_TEST_SWITCHES
#include <stdbool.h>
bool defence_disabled(const char *defence);
/* Opens the root directory of the host, as descriptor 77, for the program to inherit. */
void leak_fd_for_test(void);
#else
#define defence_disabled(defence) false
#define leak_fd_for_test() ((void)0)
#endif

#endif
