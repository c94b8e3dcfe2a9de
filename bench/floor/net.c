/* A pod's network by rtnetlink: one message makes both ends of the veth pair, plugs the host's end
 * into the bridge and brings it up; one batch in the pod's namespace does its end, loopback,
 * address and route. */
#define _GNU_SOURCE
#include "floor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define BRIDGE "floor0"

enum { SUBNET = 0x0ad50000, PREFIX = 16, GATEWAY = SUBNET + 1 }; /* 10.213.0.0/16 */

struct batch {
    size_t used;
    size_t last; /* offset of the last message */
    _Alignas(struct nlmsghdr) char bytes[1024];
};

static void put(struct batch *b, const void *data, size_t length) {
    memcpy(b->bytes + b->used, data, length);
    memset(b->bytes + b->used + length, 0, NLMSG_ALIGN(length) - length);
    b->used += NLMSG_ALIGN(length);
}

static void begin(struct batch *b, unsigned short type, unsigned short flags, const void *body,
                  size_t length) {
    struct nlmsghdr header = {.nlmsg_type = type,
                              .nlmsg_flags = (unsigned short)(NLM_F_REQUEST | flags)};
    b->last = b->used;
    put(b, &header, sizeof header);
    put(b, body, length);
}

static void end(struct batch *b) {
    ((struct nlmsghdr *)(void *)(b->bytes + b->last))->nlmsg_len = (uint32_t)(b->used - b->last);
}

static void attribute(struct batch *b, unsigned short type, const void *data, size_t length) {
    struct rtattr a = {.rta_type = type, .rta_len = (unsigned short)RTA_LENGTH(length)};
    put(b, &a, sizeof a);
    put(b, data, length);
}

static void attribute_u32(struct batch *b, unsigned short type, uint32_t value) {
    attribute(b, type, &value, sizeof value);
}

static size_t nest(struct batch *b, unsigned short type) {
    size_t at = b->used;
    attribute(b, type, NULL, 0);
    return at;
}

static void unnest(struct batch *b, size_t at) {
    ((struct rtattr *)(void *)(b->bytes + at))->rta_len = (unsigned short)(b->used - at);
}

/* Sends the batch; only its last message asks for an acknowledgement, errors of the others arrive
 * before it. */
static int run(int sock, struct batch *b, const char *step) {
    ((struct nlmsghdr *)(void *)(b->bytes + b->last))->nlmsg_flags |= NLM_F_ACK;
    if (send(sock, b->bytes, b->used, 0) < 0)
        return fail("netlink send", step);
    _Alignas(struct nlmsghdr) char reply[4096];
    for (;;) {
        ssize_t n = recv(sock, reply, sizeof reply, 0);
        if (n < 0)
            return fail("netlink receive", step);
        size_t left = (size_t)n;
        for (struct nlmsghdr *h = (void *)reply; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
            if (h->nlmsg_type != NLMSG_ERROR)
                continue;
            int code = ((struct nlmsgerr *)NLMSG_DATA(h))->error;
            if (code == 0)
                return 0;
            errno = -code;
            return fail("netlink", step);
        }
    }
}

static int open_socket(void) {
    return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
}

/* A socket that speaks to the sandbox's namespace; the caller stays in its own. */
static int open_socket_in(const struct process *sandbox) {
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (home < 0)
        return fail("open", "/proc/self/ns/net");
    int sock = -1;
    if (setns(sandbox->pidfd, CLONE_NEWNET) < 0)
        fail("setns", "sandbox");
    else if ((sock = open_socket()) < 0)
        fail("socket", "netlink");
    if (setns(home, CLONE_NEWNET) < 0) {
        fail("setns", "own network namespace");
        if (sock >= 0)
            close(sock);
        sock = -1;
    }
    close(home);
    return sock;
}

static void add_link_up(struct batch *b, int index) {
    struct ifinfomsg link = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    begin(b, RTM_NEWLINK, 0, &link, sizeof link);
    end(b);
}

static void add_address(struct batch *b, int index, uint32_t address) {
    struct ifaddrmsg body = {
        .ifa_family = AF_INET, .ifa_prefixlen = PREFIX, .ifa_index = (uint32_t)index};
    uint32_t wire = htonl(address);
    begin(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof body);
    attribute(b, IFA_LOCAL, &wire, sizeof wire);
    attribute(b, IFA_ADDRESS, &wire, sizeof wire);
    end(b);
}

static void add_default_route(struct batch *b, int index) {
    struct rtmsg body = {.rtm_family = AF_INET,
                         .rtm_table = RT_TABLE_MAIN,
                         .rtm_protocol = RTPROT_BOOT,
                         .rtm_scope = RT_SCOPE_UNIVERSE,
                         .rtm_type = RTN_UNICAST};
    uint32_t gateway = htonl(GATEWAY);
    begin(b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof body);
    attribute(b, RTA_GATEWAY, &gateway, sizeof gateway);
    attribute_u32(b, RTA_OIF, (uint32_t)index);
    end(b);
}

static int make_bridge(int sock) {
    struct batch b = {0};
    struct ifinfomsg link = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    begin(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof link);
    attribute(&b, IFLA_IFNAME, BRIDGE, sizeof BRIDGE);
    size_t info = nest(&b, IFLA_LINKINFO);
    attribute(&b, IFLA_INFO_KIND, "bridge", sizeof "bridge");
    unnest(&b, info);
    end(&b);
    if (run(sock, &b, "bridge") < 0)
        return -1;
    struct batch address = {0};
    add_address(&address, (int)if_nametoindex(BRIDGE), GATEWAY);
    return run(sock, &address, "bridge address");
}

int net_bridge(void) {
    int sock = open_socket();
    if (sock < 0)
        return fail("socket", "netlink");
    int rc = make_bridge(sock);
    close(sock);
    return rc;
}

int net_loopback(const struct process *sandbox) {
    int sock = open_socket_in(sandbox);
    if (sock < 0)
        return -1;
    struct batch b = {0};
    add_link_up(&b, 1);
    int rc = run(sock, &b, "loopback");
    close(sock);
    return rc;
}

static int make_veth(int sock, pid_t sandbox, const char *host_name) {
    struct batch b = {0};
    struct ifinfomsg link = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    struct ifinfomsg peer_link = {0}; /* veth refuses to bring up an end that has no other yet */
    begin(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof link);
    attribute(&b, IFLA_IFNAME, host_name, strlen(host_name) + 1);
    attribute_u32(&b, IFLA_MASTER, if_nametoindex(BRIDGE));
    size_t info = nest(&b, IFLA_LINKINFO);
    attribute(&b, IFLA_INFO_KIND, "veth", sizeof "veth");
    size_t data = nest(&b, IFLA_INFO_DATA);
    size_t peer = nest(&b, VETH_INFO_PEER);
    put(&b, &peer_link, sizeof peer_link);
    attribute(&b, IFLA_IFNAME, "eth0", sizeof "eth0");
    attribute_u32(&b, IFLA_NET_NS_PID, (uint32_t)sandbox);
    unnest(&b, peer);
    unnest(&b, data);
    unnest(&b, info);
    end(&b);
    return run(sock, &b, host_name);
}

static int configure_pod(int sock, uint32_t address) {
    struct ifreq request = {.ifr_name = "eth0"};
    if (ioctl(sock, SIOCGIFINDEX, &request) < 0)
        return fail("index of", "eth0");
    struct batch b = {0};
    add_link_up(&b, 1);
    add_link_up(&b, request.ifr_ifindex);
    add_address(&b, request.ifr_ifindex, address);
    add_default_route(&b, request.ifr_ifindex);
    return run(sock, &b, "pod network");
}

/* The whole network of a pod. host_number picks its address in the subnet. */
int net_attach(const struct process *sandbox, const char *host_name, unsigned host_number) {
    int host = open_socket(), pod = -1, rc = -1;
    if (host < 0)
        fail("socket", "netlink");
    else if (make_veth(host, sandbox->pid, host_name) == 0 && (pod = open_socket_in(sandbox)) >= 0)
        rc = configure_pod(pod, SUBNET + 2 + host_number % 60000);
    if (pod >= 0)
        close(pod);
    if (host >= 0)
        close(host);
    return rc;
}

int net_delete(const char *name) {
    int index = (int)if_nametoindex(name);
    if (index == 0)
        return 0;
    int sock = open_socket();
    if (sock < 0)
        return fail("socket", "netlink");
    struct batch b = {0};
    struct ifinfomsg link = {.ifi_index = index};
    begin(&b, RTM_DELLINK, 0, &link, sizeof link);
    end(&b);
    int rc = run(sock, &b, name);
    close(sock);
    return rc;
}
