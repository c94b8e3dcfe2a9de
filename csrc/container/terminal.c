#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cleanup.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

#define TTY_GROUP 5 /* the gid that /dev/pts is mounted with */

int terminal_open(uint32_t uid, int *master, kl_error *err) {
    int locked = 0;
    SCOPED_FD pair = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (pair < 0)
        return kl_fail(err, errno, "open terminal", "/dev/pts/ptmx");
    if (ioctl(pair, TIOCSPTLCK, &locked) < 0)
        return kl_fail(err, errno, "unlock terminal", "/dev/pts/ptmx");
    SCOPED_FD slave = ioctl(pair, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return kl_fail(err, errno, "open terminal", "its slave side");
    if (fchown(slave, uid, TTY_GROUP) < 0 && errno != EPERM && errno != EINVAL)
        return kl_fail(err, errno, "change owner of terminal", "%u", uid);
    *master = kl_steal_fd(&pair);
    return kl_steal_fd(&slave);
}

int terminal_set_stdio(int slave, kl_error *err) {
    if (ioctl(slave, TIOCSCTTY, 0) < 0)
        return kl_fail(err, errno, "set controlling terminal", "stdin");
    for (int fd = 0; fd < 3; fd++)
        if (dup2(slave, fd) < 0)
            return kl_fail(err, errno, "set stdio", "%d", fd);
    return 0;
}
