/* The installed command `kubelite`: lets a warm process run the command line where there is one,
 * and Python where there is none. Whatever is odd goes to Python: the answer is the same, later.
 *
 * The command runs in a child of the warm process, with this process's descriptors, directory and
 * environment. Signals that come here are passed on; the end of this process is the end of the
 * child, by a pipe whose writing end only this process holds. */
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "cleanup.h"
#include "launcher/request.h"
#include "sys.h"

#define PYTHON_COMMAND "kubelite-python"
#define DIRECTORY "/run/kubelite-warm"
#define SETTING "KUBELITE_WARM_SECONDS="
#define IDENTITY "KUBELITE_LAUNCHER="
#define ANSWER_MILLISECONDS 1000 /* a warm process that is busy or stopped is not waited for */
#define SENT_FDS 5               /* stdin, stdout, stderr, the directory, the pipe */
#define FAILED 125

extern char **environ;

struct launcher {
    char path[PATH_MAX]; /* of this program */
    char identity[48];   /* its device and inode: another build has another one */
};

/* ---- the cold way ---- */

static char **environment_with(char *variable) {
    size_t count = 0;
    while (environ[count])
        count++;
    char **copy = malloc((count + 2) * sizeof *copy);
    if (!copy)
        return environ;
    memcpy(copy, environ, count * sizeof *copy);
    copy[count] = variable;
    copy[count + 1] = NULL;
    return copy;
}

/* pip has made it beside this program, with the right interpreter in its first line. */
static int run_python(struct launcher *launcher, char **argv, bool may_warm) {
    char variable[sizeof IDENTITY + sizeof launcher->identity];
    snprintf(variable, sizeof variable, IDENTITY "%s", launcher->identity);
    strcpy(strrchr(launcher->path, '/') + 1, PYTHON_COMMAND);
    execve(launcher->path, argv, may_warm ? environment_with(variable) : environ);
    char text[PATH_MAX + 80];
    const int size =
        snprintf(text, sizeof text, "kubelite: %s cannot be executed: install kubelite again\n",
                 launcher->path);
    (void)!write(2, text, (size_t)size);
    return FAILED;
}

/* ---- the warm way ---- */

static bool wants_warm(void) {
    for (char **variable = environ; *variable; variable++)
        if (strncmp(*variable, SETTING, sizeof SETTING - 1) == 0)
            return strcmp(*variable + sizeof SETTING - 1, "0") != 0;
    return geteuid() == 0;
}

/* A command in the background of a terminal would be stopped as soon as it read from it; the child
 * is not of that terminal, and would not. */
static bool has_plain_streams(void) {
    struct stat info;
    for (int fd = 0; fd <= 2; fd++) {
        pid_t foreground;
        if (fstat(fd, &info) < 0)
            return false;
        if (ioctl(fd, TIOCGPGRP, &foreground) == 0 && foreground != syscall(SYS_getpgid, 0))
            return false;
    }
    return true;
}

static int find_self(struct launcher *launcher) {
    const ssize_t size =
        readlinkat(AT_FDCWD, "/proc/self/exe", launcher->path, sizeof launcher->path - 32);
    if (size <= 0)
        return -1;
    launcher->path[size] = '\0';
    SCOPED_FD file = open(launcher->path, O_PATH | O_CLOEXEC);
    struct stat info;
    if (file < 0 || fstat(file, &info) < 0)
        return -1;
    snprintf(launcher->identity, sizeof launcher->identity, "%llu-%llu",
             (unsigned long long)info.st_dev, (unsigned long long)info.st_ino);
    return 0;
}

static int connect_warm(const struct launcher *launcher) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, DIRECTORY "/%s", launcher->identity);
    SCOPED_FD sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (sock < 0 || syscall(SYS_connect, sock, &address, sizeof address) < 0 ||
        getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.uid != geteuid())
        return -1;
    return kl_steal_fd(&sock);
}

static int send_request(int sock, const struct request *request, const int fds[SENT_FDS]) {
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(SENT_FDS * sizeof(int))];
    } control = {.head = {.cmsg_len = CMSG_LEN(SENT_FDS * sizeof(int)),
                          .cmsg_level = SOL_SOCKET,
                          .cmsg_type = SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.head), fds, SENT_FDS * sizeof(int));
    size_t sent = 0;
    while (sent < request->size) {
        struct iovec part = {request->bytes + sent, request->size - sent};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        if (sent == 0) {
            message.msg_control = &control;
            message.msg_controllen = sizeof control;
        }
        const ssize_t size = sendmsg(sock, &message, MSG_NOSIGNAL);
        struct pollfd writable = {.fd = sock, .events = POLLOUT};
        if (size > 0)
            sent += (size_t)size;
        else if (errno != EAGAIN || poll(&writable, 1, ANSWER_MILLISECONDS) <= 0)
            return -1;
    }
    return 0;
}

/* 1 with a reply, 0 at the end of the connection, -1 after `timeout` milliseconds. */
static int receive_reply(int sock, struct reply *reply, int timeout) {
    struct pollfd readable = {.fd = sock, .events = POLLIN};
    if (poll(&readable, 1, timeout) <= 0)
        return -1;
    return recv(sock, reply, sizeof *reply, 0) == sizeof *reply ? 1 : 0;
}

static bool is_told(int sock, enum reply_kind kind, struct reply *reply) {
    return receive_reply(sock, reply, ANSWER_MILLISECONDS) == 1 && reply->kind == kind;
}

/* Nothing has run until the child is told to go on, so that giving up before it is safe. */
static pid_t start_child(int sock, const struct request *request, int lifeline) {
    SCOPED_FD directory = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    const int fds[SENT_FDS] = {0, 1, 2, directory, lifeline};
    struct reply reply;
    if (directory < 0 || !is_told(sock, REPLY_LISTENS, &reply) ||
        send_request(sock, request, fds) < 0 || !is_told(sock, REPLY_STARTED, &reply))
        return -1;
    return send(sock, "", 1, MSG_NOSIGNAL) == 1 ? (pid_t)reply.value : -1;
}

/* A signal that ends nobody by default leaves an exit code. */
static _Noreturn void end_like(int number) {
    sigset_t none;
    signal(number, SIG_DFL);
    kill(getpid(), number);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    _exit(128 + number);
}

/* Ctrl-Z stops the child first and then this process, which the shell waits for. */
static void pass_on(int signals, pid_t child) {
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) == sizeof info) {
        const int number = (int)info.ssi_signo;
        kill(child, number == SIGTSTP ? SIGSTOP : number);
        if (number == SIGTSTP) {
            kill(getpid(), SIGSTOP);
            kill(child, SIGCONT);
        }
    }
}

static int follow_child(int sock, int signals, pid_t child) {
    struct pollfd watched[] = {{.fd = sock, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    for (;;) {
        if (poll(watched, 2, -1) < 0)
            continue;
        if (watched[1].revents)
            pass_on(signals, child);
        struct reply reply;
        if (!watched[0].revents)
            continue;
        const int received = receive_reply(sock, &reply, 0);
        if (received == 1 && reply.kind == REPLY_EXITED)
            return (int)reply.value;
        end_like(received == 1 ? (int)reply.value : SIGKILL);
    }
}

/* -1 where nothing has run and Python is to be asked. */
static int run_warm(const struct launcher *launcher, char **argv) {
    SCOPED_FD sock = connect_warm(launcher);
    struct request request;
    if (sock < 0 || request_make(&request, argv, environ) < 0)
        return -1;
    sigset_t passed, before;
    sigfillset(&passed);
    sigprocmask(SIG_SETMASK, &passed, &before);
    SCOPED_FD signals = signalfd(-1, &passed, SFD_CLOEXEC | SFD_NONBLOCK);
    int lifeline[2] = {-1, -1};
    pid_t child = -1;
    if (signals >= 0 && pipe2(lifeline, O_CLOEXEC) == 0)
        child = start_child(sock, &request, lifeline[0]);
    if (lifeline[0] >= 0)
        close(lifeline[0]);
    if (child >= 0)
        return follow_child(sock, signals, child);
    if (lifeline[1] >= 0)
        close(lifeline[1]);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return -1;
}

int main(int argc, char **argv) {
    struct launcher launcher;
    if (argc < 1 || find_self(&launcher) < 0)
        return FAILED;
    const bool warm = wants_warm() && has_plain_streams();
    const int code = warm ? run_warm(&launcher, argv) : -1;
    return code >= 0 ? code : run_python(&launcher, argv, warm);
}
