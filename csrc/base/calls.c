/*
 * Functions that are one system call. Where the two architectures differ the newer call is used,
 * which both have. Structures go to the kernel as they are: on 64-bit Linux the C library's are its
 * own, but for sets of signals, of which the kernel takes the first 64 bits.
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "raw.h"

#define KERNEL_SET 8 /* bytes in the kernel's set of signals */

/* -- descriptors -- */

static int open_at(int dir, const char *path, int flags, mode_t mode) {
    return (int)syscall(SYS_openat, dir, path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    mode_t mode = va_arg(args, mode_t);
    va_end(args);
    return open_at(AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    mode_t mode = va_arg(args, mode_t);
    va_end(args);
    return open_at(dir, path, flags, mode);
}

int fcntl(int fd, int command, ...) {
    va_list args;
    va_start(args, command);
    long argument = va_arg(args, long);
    va_end(args);
    return (int)syscall(SYS_fcntl, fd, command, argument);
}

int ioctl(int fd, unsigned long request, ...) {
    va_list args;
    va_start(args, request);
    long argument = va_arg(args, long);
    va_end(args);
    return (int)syscall(SYS_ioctl, fd, request, argument);
}

int close(int fd) {
    return (int)syscall(SYS_close, fd);
}

ssize_t read(int fd, void *bytes, size_t size) {
    return syscall(SYS_read, fd, bytes, size);
}

ssize_t write(int fd, const void *bytes, size_t size) {
    return syscall(SYS_write, fd, bytes, size);
}

int pipe2(int pair[2], int flags) {
    return (int)syscall(SYS_pipe2, pair, flags);
}

/* dup3 refuses two equal numbers, where dup2 leaves the descriptor alone. */
int dup2(int from, int to) {
    return from == to ? (fcntl(from, F_GETFD) < 0 ? -1 : to) : (int)syscall(SYS_dup3, from, to, 0);
}

int fstat(int fd, struct stat *info) {
    return (int)syscall(SYS_fstat, fd, info);
}

int ftruncate(int fd, off_t size) {
    return (int)syscall(SYS_ftruncate, fd, size);
}

int fchmod(int fd, mode_t mode) {
    return (int)syscall(SYS_fchmod, fd, mode);
}

int fchown(int fd, uid_t uid, gid_t gid) {
    return (int)syscall(SYS_fchown, fd, uid, gid);
}

int memfd_create(const char *name, unsigned flags) {
    return (int)syscall(SYS_memfd_create, name, flags);
}

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset) {
    return (void *)syscall(SYS_mmap, at, size, protection, flags, fd, offset);
}

int munmap(void *at, size_t size) {
    return (int)syscall(SYS_munmap, at, size);
}

int tcgetattr(int fd, struct termios *mode) {
    return ioctl(fd, TCGETS, mode);
}

/* -- names -- */

int mkdirat(int dir, const char *path, mode_t mode) {
    return (int)syscall(SYS_mkdirat, dir, path, mode);
}

int mknodat(int dir, const char *path, mode_t mode, dev_t device) {
    return (int)syscall(SYS_mknodat, dir, path, mode, device);
}

int symlinkat(const char *target, int dir, const char *path) {
    return (int)syscall(SYS_symlinkat, target, dir, path);
}

ssize_t readlinkat(int dir, const char *path, char *out, size_t size) {
    return syscall(SYS_readlinkat, dir, path, out, size);
}

int fchownat(int dir, const char *path, uid_t uid, gid_t gid, int flags) {
    return (int)syscall(SYS_fchownat, dir, path, uid, gid, flags);
}

int unlinkat(int dir, const char *path, int flags) {
    return (int)syscall(SYS_unlinkat, dir, path, flags);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, 0);
}

int chdir(const char *path) {
    return (int)syscall(SYS_chdir, path);
}

int fchdir(int dir) {
    return (int)syscall(SYS_fchdir, dir);
}

char *getcwd(char *out, size_t size) {
    return syscall(SYS_getcwd, out, size) < 0 ? NULL : out;
}

int mount(const char *source, const char *target, const char *type, unsigned long flags,
          const void *data) {
    return (int)syscall(SYS_mount, source, target, type, flags, data);
}

/* -- processes -- */

void _exit(int status) {
    for (;;)
        syscall(SYS_exit_group, status);
}

void abort(void) {
    kill(getpid(), SIGABRT);
    _exit(127);
}

int execve(const char *path, char *const argv[], char *const envp[]) {
    return (int)syscall(SYS_execve, path, argv, envp);
}

int kill(pid_t pid, int number) {
    return (int)syscall(SYS_kill, pid, number);
}

pid_t getpid(void) {
    return (pid_t)syscall(SYS_getpid);
}

uid_t geteuid(void) {
    return (uid_t)syscall(SYS_geteuid);
}

int getresuid(uid_t *uid, uid_t *effective, uid_t *saved) {
    return (int)syscall(SYS_getresuid, uid, effective, saved);
}

pid_t setsid(void) {
    return (pid_t)syscall(SYS_setsid);
}

mode_t umask(mode_t mask) {
    return (mode_t)syscall(SYS_umask, mask);
}

int unshare(int flags) {
    return (int)syscall(SYS_unshare, flags);
}

int setns(int fd, int flags) {
    return (int)syscall(SYS_setns, fd, flags);
}

int sethostname(const char *name, size_t size) {
    return (int)syscall(SYS_sethostname, name, size);
}

int setdomainname(const char *name, size_t size) {
    return (int)syscall(SYS_setdomainname, name, size);
}

int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit) {
    return (int)syscall(SYS_prlimit64, 0, resource, limit, NULL);
}

int prctl(int option, ...) {
    long argument[4];
    va_list args;
    va_start(args, option);
    for (int i = 0; i < 4; i++)
        argument[i] = va_arg(args, long);
    va_end(args);
    return (int)syscall(SYS_prctl, option, argument[0], argument[1], argument[2], argument[3]);
}

int waitid(idtype_t type, id_t id, siginfo_t *info, int options) {
    return (int)syscall(SYS_waitid, type, id, info, options, NULL);
}

pid_t waitpid(pid_t pid, int *status, int options) {
    return (pid_t)syscall(SYS_wait4, pid, status, options, NULL);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    return (int)syscall(SYS_clock_gettime, clock, now);
}

/* -- signals -- */

int sigemptyset(sigset_t *set) {
    *set = (sigset_t){0};
    return 0;
}

int sigfillset(sigset_t *set) {
    unsigned char *bytes = (unsigned char *)set;
    for (size_t i = 0; i < sizeof *set; i++)
        bytes[i] = 0xff;
    return 0;
}

int sigprocmask(int how, const sigset_t *set, sigset_t *before) {
    return (int)syscall(SYS_rt_sigprocmask, how, set, before, KERNEL_SET);
}

int signalfd(int fd, const sigset_t *set, int flags) {
    return (int)syscall(SYS_signalfd4, fd, set, KERNEL_SET, flags);
}

/* Only for SIG_DFL and SIG_IGN: returning from a handler takes code that is not here. */
__sighandler_t signal(int number, __sighandler_t handler) {
    struct {
        __sighandler_t handler;
        unsigned long flags;
        void (*restorer)(void);
        unsigned long mask;
    } action = {.handler = handler};
    return syscall(SYS_rt_sigaction, number, &action, NULL, KERNEL_SET) < 0 ? SIG_ERR : SIG_DFL;
}

/* -- waiting -- */

int epoll_create1(int flags) {
    return (int)syscall(SYS_epoll_create1, flags);
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event) {
    return (int)syscall(SYS_epoll_ctl, epoll, operation, fd, event);
}

int epoll_wait(int epoll, struct epoll_event *events, int max, int timeout) {
    return (int)syscall(SYS_epoll_pwait, epoll, events, max, timeout, NULL, KERNEL_SET);
}

int poll(struct pollfd *fds, nfds_t count, int timeout) {
    struct timespec limit = {timeout / 1000, timeout % 1000 * 1000000L};
    return (int)syscall(SYS_ppoll, fds, count, timeout < 0 ? NULL : &limit, NULL, KERNEL_SET);
}

/* -- sockets -- */

int socket(int domain, int type, int protocol) {
    return (int)syscall(SYS_socket, domain, type, protocol);
}

int socketpair(int domain, int type, int protocol, int pair[2]) {
    return (int)syscall(SYS_socketpair, domain, type, protocol, pair);
}

int getsockopt(int fd, int level, int option, void *restrict value, socklen_t *restrict size) {
    return (int)syscall(SYS_getsockopt, fd, level, option, value, size);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    return syscall(SYS_sendmsg, fd, message, flags);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
    return syscall(SYS_recvmsg, fd, message, flags);
}

ssize_t send(int fd, const void *bytes, size_t size, int flags) {
    return syscall(SYS_sendto, fd, bytes, size, flags, NULL, 0);
}

ssize_t recv(int fd, void *bytes, size_t size, int flags) {
    return syscall(SYS_recvfrom, fd, bytes, size, flags, NULL, NULL);
}
