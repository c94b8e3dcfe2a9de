/* floor container|pod --work DIR --lower DIR --pause FILE --name CGROUP [--runs N | --step]
 *
 * Prints one JSON line when it is ready and one per iteration, in nanoseconds of CLOCK_MONOTONIC:
 *   container: {"exec": ..., "exit": ...}  from before the first cgroup directory to the exec,
 *                                          and to the reaped end
 *   pod:       {"up": ...}                 from before the pod's cgroup to the exec of pause and
 *                                          both containers
 * With --step it does one iteration for each byte on standard input. It works in mount and network
 * namespaces of its own, and removes what it made at the end, after a failure and after SIGINT or
 * SIGTERM. */
#define _GNU_SOURCE
#include "floor.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { CONTAINERS = 2 };

static const struct process nobody = {.pidfd = -1, .sync = -1};

struct options {
    bool pod, step;
    long runs;
    const char *work, *lower, *pause, *name;
};

/* One pod and whatever of it exists. */
struct pod {
    unsigned number;
    char cgroup[16];
    char host_name[16];
    char member[CONTAINERS][NAME_LEN];
    struct process sandbox, containers[CONTAINERS];
};

static volatile sig_atomic_t stopped;

static void stop(int signal) {
    (void)signal;
    stopped = 1;
}

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* ---- a container ---- */

static int start_container(const struct world *w, const struct cgroups *g, struct pod *pod,
                           unsigned slot) {
    return container_start(w, g, &pod->sandbox, pod->member[slot], slot, &pod->containers[slot]);
}

static int end_container(const struct world *w, const struct cgroups *g, struct pod *pod,
                         unsigned slot) {
    int rc = process_kill(&pod->containers[slot]);
    rc |= cgroup_remove(g, pod->member[slot]);
    rc |= upper_remove(w, slot);
    return rc;
}

static int measure_container(const struct world *w, const struct cgroups *g, struct pod *pod) {
    int64_t t0 = now(), t_exec = 0, t_exit = 0;
    int rc = start_container(w, g, pod, 0);
    if (rc == 0) {
        rc = process_wait_exec(&pod->containers[0]);
        t_exec = now();
    }
    if (rc == 0) {
        rc = process_reap(&pod->containers[0]);
        t_exit = now();
    }
    if (rc == 0)
        printf("{\"exec\": %lld, \"exit\": %lld}\n", (long long)(t_exec - t0),
               (long long)(t_exit - t0));
    return end_container(w, g, pod, 0) | rc;
}

/* ---- a pod ---- */

static void name_pod(struct pod *pod, unsigned number) {
    *pod = (struct pod){.number = number, .sandbox = nobody};
    snprintf(pod->cgroup, sizeof pod->cgroup, "p%u", number);
    snprintf(pod->host_name, sizeof pod->host_name, "fl%u", number);
    for (unsigned i = 0; i < CONTAINERS; i++) {
        pod->containers[i] = nobody;
        snprintf(pod->member[i], sizeof pod->member[i], "%s/c%u", pod->cgroup, i);
    }
}

/* The sandbox executes pause on the other processor while its network is made. */
static int start_pod(const struct world *w, const struct cgroups *g, struct pod *pod) {
    if (cgroup_make_pod(g, pod->cgroup) < 0 || sandbox_start(w, &pod->sandbox) < 0 ||
        net_attach(&pod->sandbox, pod->host_name, pod->number) < 0)
        return -1;
    for (unsigned i = 0; i < CONTAINERS; i++)
        if (start_container(w, g, pod, i) < 0)
            return -1;
    if (process_wait_exec(&pod->sandbox) < 0)
        return -1;
    for (unsigned i = 0; i < CONTAINERS; i++)
        if (process_wait_exec(&pod->containers[i]) < 0)
            return -1;
    return 0;
}

static int end_pod(const struct world *w, const struct cgroups *g, struct pod *pod) {
    int rc = 0;
    for (unsigned i = 0; i < CONTAINERS; i++)
        rc |= end_container(w, g, pod, i);
    rc |= net_delete(pod->host_name);
    rc |= process_kill(&pod->sandbox);
    rc |= cgroup_remove(g, pod->cgroup);
    if (umount2(w->shm, 0) < 0 && errno != EINVAL)
        rc = fail("umount", w->shm);
    return rc;
}

static int measure_pod(const struct world *w, const struct cgroups *g, unsigned number) {
    struct pod pod;
    name_pod(&pod, number);
    int64_t t0 = now();
    int rc = start_pod(w, g, &pod);
    int64_t up = now() - t0;
    if (rc == 0)
        printf("{\"up\": %lld}\n", (long long)up);
    return end_pod(w, g, &pod) | rc;
}

/* ---- the run ---- */

static bool another(const struct options *o, long done) {
    char byte;
    if (stopped)
        return false;
    return o->step ? read(STDIN_FILENO, &byte, 1) == 1 : done < o->runs;
}

static int run_containers(const struct options *o, const struct world *w, const struct cgroups *g) {
    struct pod pod;
    name_pod(&pod, 0);
    int rc = -1;
    if (cgroup_make_pod(g, pod.cgroup) == 0 && sandbox_start(w, &pod.sandbox) == 0 &&
        process_wait_exec(&pod.sandbox) == 0 && net_loopback(&pod.sandbox) == 0) {
        printf("{\"cgroups\": \"%s\", \"sandbox\": %d}\n", cgroups_kind(g), (int)pod.sandbox.pid);
        rc = 0;
        for (long i = 0; rc == 0 && another(o, i); i++)
            rc = measure_container(w, g, &pod);
    }
    return end_pod(w, g, &pod) | rc;
}

static int run_pods(const struct options *o, const struct world *w, const struct cgroups *g) {
    if (net_bridge() < 0)
        return -1;
    printf("{\"cgroups\": \"%s\", \"sandbox\": 0}\n", cgroups_kind(g));
    int rc = 0;
    for (long i = 0; rc == 0 && another(o, i); i++)
        rc = measure_pod(w, g, (unsigned)i);
    return rc;
}

static int make_directory(char *out, const char *work, const char *name) {
    if (snprintf(out, PATH_MAX, "%s/%s", work, name) >= PATH_MAX)
        return errno = ENAMETOOLONG, fail("path", work);
    return mkdir(out, 0755) < 0 && errno != EEXIST ? fail("mkdir", out) : 0;
}

/* The directories under --work stay for their owner; mounts die with the namespace. */
static int make_world(const struct options *o, struct world *w) {
    if (strlen(o->work) > 256 || strlen(o->lower) > 1024 || strlen(o->pause) >= PATH_MAX)
        return errno = ENAMETOOLONG, fail("path", o->work);
    snprintf(w->work, sizeof w->work, "%s", o->work);
    snprintf(w->lower, sizeof w->lower, "%s", o->lower);
    snprintf(w->pause, sizeof w->pause, "%s", o->pause);
    if (make_directory(w->merged, o->work, "merged") < 0 ||
        make_directory(w->shm, o->work, "shm") < 0 ||
        make_directory(w->empty, o->work, "empty") < 0 ||
        make_directory(w->volume, o->work, "volume") < 0)
        return -1;
    if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return fail("unshare", "mount and network namespaces");
    if (mount("empty", w->empty, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
              "size=0,mode=555") < 0)
        return fail("mount", w->empty);
    return 0;
}

static int parse(int argc, char **argv, struct options *o) {
    if (argc < 2 || (strcmp(argv[1], "pod") != 0 && strcmp(argv[1], "container") != 0))
        return -1;
    *o = (struct options){.pod = strcmp(argv[1], "pod") == 0, .runs = 100};
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--step") == 0) {
            o->step = true;
            continue;
        }
        if (i + 1 == argc)
            return -1;
        const char *option = argv[i], *value = argv[++i];
        if (strcmp(option, "--runs") == 0)
            o->runs = strtol(value, NULL, 10);
        else if (strcmp(option, "--work") == 0)
            o->work = value;
        else if (strcmp(option, "--lower") == 0)
            o->lower = value;
        else if (strcmp(option, "--pause") == 0)
            o->pause = value;
        else if (strcmp(option, "--name") == 0)
            o->name = value;
        else
            return -1;
    }
    return o->work && o->lower && o->pause && o->name ? 0 : -1;
}

int main(int argc, char **argv) {
    static struct world world;
    static struct cgroups groups;
    struct options options;
    if (parse(argc, argv, &options) < 0) {
        fputs("usage: floor container|pod --work DIR --lower DIR --pause FILE --name CGROUP "
              "[--runs N | --step]\n",
              stderr);
        return 2;
    }
    struct sigaction action = {.sa_handler =
                                   stop}; /* without SA_RESTART: the wait for a step ends too */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    int rc = make_world(&options, &world);
    if (rc == 0 && (rc = cgroups_open(&groups, options.name)) == 0)
        rc = options.pod ? run_pods(&options, &world, &groups)
                         : run_containers(&options, &world, &groups);
    cgroups_close(&groups);
    return rc == 0 ? 0 : 1;
}
