"""Seccomp profiles as data, and the default profile. Pure.

The default, RuntimeDefault in Kubernetes, allows what containerd and docker allow: a list of system
calls that programs need, more of them for capabilities that are useless without, and EPERM for the
rest.
"""

from __future__ import annotations

from typing import NamedTuple

from kubelite.node.runtime.identity import ALL_CAPABILITIES

ALLOW, LOG, KILL_PROCESS, KILL_THREAD = 0x7FFF0000, 0x7FFC0000, 0x80000000, 0
TRAP, TRACE, ERRNO = 0x00030000, 0x7FF00000, 0x00050000
EPERM, ENOSYS = 1, 38

# The kinds of programs that a machine runs: a profile applies to all of them.
MACHINES = {"x86_64": ("x86_64", "i386"), "aarch64": ("aarch64",)}


class Check(NamedTuple):
    """A comparison of one argument, 0 to 5. ``op`` is eq, ne, lt, le, ge, gt, or masked: then
    ``mask`` is applied first.
    """

    argument: int
    op: str
    value: int
    mask: int = 0


class Rule(NamedTuple):
    """What happens to the calls of these names when all checks hold. Of several rules for a call
    one without checks wins.
    """

    names: tuple[str, ...]
    action: int
    checks: tuple[Check, ...] = ()


class Profile(NamedTuple):
    """A whole profile; ``kinds`` are the kinds of programs it knows, others are killed. ``log`` and
    ``spec_allow`` are the kernel's flags of those names, seccomp(2)."""

    default: int
    rules: tuple[Rule, ...]
    kinds: tuple[str, ...]
    log: bool = False
    spec_allow: bool = False


_FILES = """
access cachestat chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3
faccessat faccessat2 fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown
fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat
fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents
getdents64 getxattr getxattrat ioctl lchown lchown32 lgetxattr link linkat listxattr listxattrat
llistxattr lremovexattr lseek lsetxattr lstat lstat64 _llseek mkdir mkdirat mknod mknodat
name_to_handle_at newfstatat open openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64
pwritev pwritev2 read readahead readlink readlinkat readv removexattr removexattrat rename
renameat renameat2 rmdir sendfile sendfile64 setxattr setxattrat splice stat stat64 statfs
statfs64 statmount listmount statx symlink symlinkat sync sync_file_range syncfs tee truncate
truncate64 umask unlink unlinkat utime utimensat utimensat_time64 utimes vmsplice write writev
inotify_add_watch inotify_init inotify_init1 inotify_rm_watch fanotify_mark
"""
_MEMORY = """
brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall
mmap mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free
pkey_mprotect process_mrelease remap_file_pages
"""
_PROCESSES = """
alarm arch_prctl capget capset execve execveat exit exit_group fork getcpu getegid getegid32
geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpgid getpgrp getpid getppid
getpriority getresgid getresgid32 getresuid getresuid32 getrlimit get_robust_list getrusage getsid
get_thread_area gettid getuid getuid32 ioprio_get ioprio_set kill landlock_add_rule
landlock_create_ruleset landlock_restrict_self modify_ldt pause pidfd_open pidfd_send_signal prctl
prlimit64 process_vm_readv process_vm_writev ptrace restart_syscall rseq rt_sigaction
rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_getaffinity sched_getattr sched_getparam
sched_get_priority_max sched_get_priority_min sched_getscheduler sched_rr_get_interval
sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler
sched_yield seccomp setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32
setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32
setreuid setreuid32 setrlimit set_robust_list setsid set_thread_area set_tid_address setuid
setuid32 sigaltstack sigprocmask sigreturn tgkill times tkill ugetrlimit uname uretprobe vfork
wait4 waitid waitpid sysinfo getrandom
"""
_EVENTS_AND_TIME = """
epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
epoll_wait_old eventfd eventfd2 futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake
io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit _newselect
poll ppoll ppoll_time64 pselect6 pselect6_time64 select signalfd signalfd4 adjtimex clock_adjtime
clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep
clock_nanosleep_time64 gettimeofday nanosleep time timer_create timer_delete timer_getoverrun
timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
timerfd_gettime64 timerfd_settime timerfd_settime64
"""
_COMMUNICATION = """
accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg
recvmmsg_time64 recvmsg sendmmsg sendmsg sendto setsockopt shutdown socketpair ipc mq_getsetattr
mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64
mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat
shmctl shmdt shmget
"""
ALLOWED = tuple(f"{_FILES} {_MEMORY} {_PROCESSES} {_EVENTS_AND_TIME} {_COMMUNICATION}".split())

# The calls that a capability allows.
BY_CAPABILITY = {
    "DAC_READ_SEARCH": "open_by_handle_at",
    "SYS_ADMIN": (
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie "
        "lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount "
        "open_tree open_tree_attr perf_event_open quotactl quotactl_fd setdomainname "
        "sethostname setns syslog umount umount2 unshare"
    ),
    "SYS_BOOT": "reboot",
    "SYS_CHROOT": "chroot",
    "SYS_MODULE": "delete_module finit_module init_module",
    "SYS_PACCT": "acct",
    "SYS_PTRACE": "kcmp pidfd_getfd process_madvise",
    "SYS_RAWIO": "ioperm iopl",
    "SYS_TIME": "clock_settime clock_settime64 settimeofday stime",
    "SYS_TTY_CONFIG": "vhangup",
    "SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "SYSLOG": "syslog",
    "BPF": "bpf",
    "PERFMON": "perf_event_open",
}

# Linux, Linux 32 bit, each as UNAME26 too, and the query of the present one.
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
_AF_ALG, _AF_VSOCK = 38, 40  # the kernel's crypto, and a way to the hypervisor past every firewall
_NEW_NAMESPACES = 0x7E020000  # all CLONE_NEW* flags of clone(2)


def relevant(capabilities: int) -> int:
    """The part of a capability mask that makes a difference to the default profile."""
    return capabilities & sum(1 << ALL_CAPABILITIES.index(name) for name in BY_CAPABILITY)


def default_profile(capabilities: int, machine: str) -> Profile:
    """RuntimeDefault for a container with these capabilities (a bit mask) on a machine of
    :data:`MACHINES`.
    """
    rules = [Rule(ALLOWED, ALLOW), *_personality(), *_socket()]
    has_admin = False
    for name, calls in BY_CAPABILITY.items():
        if capabilities >> ALL_CAPABILITIES.index(name) & 1:
            rules.append(Rule(tuple(calls.split()), ALLOW))
            has_admin |= name == "SYS_ADMIN"
    if not has_admin:
        # clone3 hides its flags behind a pointer; ENOSYS makes the C library fall back to clone.
        rules.append(Rule(("clone",), ALLOW, (Check(0, "masked", 0, _NEW_NAMESPACES),)))
        rules.append(Rule(("clone3",), ERRNO | ENOSYS))
    return Profile(ERRNO | EPERM, tuple(rules), MACHINES[machine])


def _personality() -> list[Rule]:
    return [Rule(("personality",), ALLOW, (Check(0, "eq", value),)) for value in _PERSONALITIES]


def _socket() -> list[Rule]:
    """Every family but two, as three ranges; no way around through socketcall."""
    return [
        # The 32-bit multiplexer hides the family behind a pointer. C libraries have used the direct
        # calls since Linux 4.3, and take them after ENOSYS.
        Rule(("socketcall",), ERRNO | ENOSYS),
        Rule(("socket",), ALLOW, (Check(0, "lt", _AF_ALG),)),
        Rule(("socket",), ALLOW, (Check(0, "eq", _AF_ALG + 1),)),
        Rule(("socket",), ALLOW, (Check(0, "gt", _AF_VSOCK),)),
    ]
