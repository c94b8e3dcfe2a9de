#include "switches.h"

#ifdef KL_TEST_SWITCHES
#include <fcntl.h>
#include <unistd.h>

/* The name of the defence follows the mark; a test writes it into a copy of the program. */
#define MARK "KUBELITE_WITHOUT="
static volatile char without[sizeof MARK + 32] = MARK;

bool defence_disabled(const char *defence) {
    const volatile char *at = without + sizeof MARK - 1;
    while (*defence && *at == *defence)
        at++, defence++;
    return *at == '\0' && *defence == '\0';
}

void leak_fd_for_test(void) {
    int host = open("/", O_RDONLY | O_DIRECTORY);
    dup2(host, 77);
    close(host);
}
#endif
