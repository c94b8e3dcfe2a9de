/* The allow-list of devices of a v2 cgroup: a program that the kernel calls when a device is opened
 * or made (bpf(2)). */
#include "error.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>

#include "cleanup.h"

static int call(int command, union bpf_attr *attr) {
    return (int)syscall(SYS_bpf, command, attr, sizeof *attr);
}

int kl_device_filter(int cgroup, const uint8_t *program, size_t size, kl_error *err) {
    union bpf_attr load, attach;
    memset(&load, 0, sizeof load);
    load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    load.insns = (uint64_t)(uintptr_t)program;
    load.insn_cnt = (uint32_t)(size / sizeof(struct bpf_insn));
    load.license = (uint64_t)(uintptr_t) "Apache-2.0";
    SCOPED_FD fd = call(BPF_PROG_LOAD, &load);
    if (fd < 0)
        return kl_fail(err, errno, "load device filter", "%zu bytes", size);
    memset(&attach, 0, sizeof attach);
    attach.target_fd = (uint32_t)cgroup;
    attach.attach_bpf_fd = (uint32_t)fd;
    attach.attach_type = BPF_CGROUP_DEVICE;
    attach.attach_flags = BPF_F_ALLOW_MULTI;
    if (call(BPF_PROG_ATTACH, &attach) < 0)
        return kl_fail(err, errno, "attach device filter", "cgroup");
    return 0;
}
