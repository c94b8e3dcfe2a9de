/* A pod's network over rtnetlink, without a library and without a child process. Two round trips
 * make it all: one in the caller's namespace for the pair of interfaces, one in the pod's for its
 * end. */
#include "netlink.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_bridge.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/veth.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "kubelite.h"

#define LOOPBACK_INDEX 1
#define KL_NET_UPPER 12 /* bytes of an IPv6 address before those of the IPv4 address */
/* How long an interface may take until it is operational, and how often that is asked. */
#define OPERATIONAL_LOOKS 1000
#define LOOK_NANOSECONDS 100000

struct pod_end {
    int netns;
    const char *name;
    uint32_t address, prefix, gateway;
    const uint8_t *upper; /* of its IPv6 address, or NULL */
    uint32_t mtu;         /* the bridge's */
};

/* An address as it is on the wire; an IPv6 address ends in the IPv4 address that it goes with. */
struct wire_address {
    uint8_t family, bits;
    uint16_t size;
    uint8_t bytes[16];
};

static struct wire_address ipv4_of(uint32_t address) {
    const uint32_t wire = htonl(address);
    struct wire_address result = {.family = AF_INET, .bits = 32, .size = sizeof wire};
    memcpy(result.bytes, &wire, sizeof wire);
    return result;
}

static struct wire_address ipv6_of(const uint8_t *upper, uint32_t address) {
    const uint32_t wire = htonl(address);
    struct wire_address result = {.family = AF_INET6, .bits = 128, .size = 16};
    memcpy(result.bytes, upper, KL_NET_UPPER);
    memcpy(result.bytes + KL_NET_UPPER, &wire, sizeof wire);
    return result;
}

static int check_name(const char *name, kl_error *err) {
    size_t length = strlen(name);
    if (length == 0 || length >= IFNAMSIZ)
        return kl_fail(err, EINVAL, "check interface name", "%s", name);
    return 0;
}

static int check_prefix(uint32_t prefix, kl_error *err) {
    if (prefix < 1 || prefix > 32)
        return kl_fail(err, EINVAL, "check prefix length", "/%u", prefix);
    return 0;
}

/* 0 when there is no such interface. Any socket will do: the answer is about the namespace it was
 * opened in. */
static int interface_index(int sock, const char *name) {
    struct ifreq request = {0};
    memcpy(request.ifr_name, name, strlen(name) + 1);
    return ioctl(sock, SIOCGIFINDEX, &request) < 0 ? 0 : request.ifr_ifindex;
}

static uint32_t interface_mtu(int sock, const char *name) {
    struct ifreq request = {0};
    memcpy(request.ifr_name, name, strlen(name) + 1);
    return ioctl(sock, SIOCGIFMTU, &request) < 0 ? ETH_DATA_LEN : (uint32_t)request.ifr_mtu;
}

/* The link-layer address of an IPv4 address: locally administered, and the same whenever the
 * address is handed out again. node/network/firewall_rules.py knows this form as well. */
static void put_hardware_address(struct nl_batch *batch, uint16_t attribute, uint32_t address) {
    uint8_t bytes[6] = {0x02,
                        0x6b,
                        (uint8_t)(address >> 24),
                        (uint8_t)(address >> 16),
                        (uint8_t)(address >> 8),
                        (uint8_t)address};
    nl_attr(batch, attribute, bytes, sizeof bytes);
}

/* No IPv6 link-local address: pods need none to reach their gateway, and each such address costs
 * multicast joins and solicitations. It has to be said while the interface is down. */
static void put_no_link_local_address(struct nl_batch *batch) {
    size_t families = nl_nest(batch, IFLA_AF_SPEC), inet6 = nl_nest(batch, AF_INET6);
    nl_attr_u8(batch, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
    nl_unnest(batch, inet6);
    nl_unnest(batch, families);
}

/* Begins a change of an interface, found by index or, where that is 0, by name. */
static void begin_change(struct nl_batch *batch, const char *step, int index, const char *name,
                         unsigned flags) {
    struct ifinfomsg link = {.ifi_index = index, .ifi_flags = flags, .ifi_change = flags};
    nl_begin(batch, step, RTM_NEWLINK, 0, &link, sizeof link);
    if (index == 0)
        nl_attr_text(batch, IFLA_IFNAME, name);
}

static void add_up(struct nl_batch *batch, const char *step, int index, const char *name) {
    begin_change(batch, step, index, name, IFF_UP);
    nl_end(batch);
}

/* Nobody else has the address, so it is not looked for: an IPv6 address could not be used until
 * then. */
static void add_address(struct nl_batch *batch, int index, struct wire_address address,
                        uint32_t others) {
    struct ifaddrmsg body = {.ifa_family = address.family,
                             .ifa_prefixlen = (uint8_t)(address.bits - others),
                             .ifa_flags = address.family == AF_INET6 ? IFA_F_NODAD : 0,
                             .ifa_index = (uint32_t)index};
    nl_begin(batch, "add address", RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &body, sizeof body);
    nl_attr(batch, IFA_LOCAL, address.bytes, address.size);
    nl_attr(batch, IFA_ADDRESS, address.bytes, address.size);
    nl_end(batch);
}

static void add_default_route(struct nl_batch *batch, int index, struct wire_address gateway) {
    struct rtmsg body = {.rtm_family = gateway.family,
                         .rtm_table = RT_TABLE_MAIN,
                         .rtm_protocol = RTPROT_BOOT,
                         .rtm_scope = RT_SCOPE_UNIVERSE,
                         .rtm_type = RTN_UNICAST,
                         .rtm_flags = RTNH_F_ONLINK}; /* no other route leads to the gateway */
    nl_begin(batch, "add default route", RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &body,
             sizeof body);
    nl_attr(batch, RTA_GATEWAY, gateway.bytes, gateway.size);
    nl_attr_u32(batch, RTA_OIF, (uint32_t)index);
    nl_end(batch);
}

static void add_look(struct nl_batch *batch, int index) {
    const struct ifinfomsg link = {.ifi_index = index};
    nl_begin(batch, "look at interface", RTM_GETLINK, 0, &link, sizeof link);
    nl_attr_u32(batch, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    nl_end(batch);
}

/* The kernel notices a carrier in a work queue; until then an interface drops what it shall send,
 * and a bridge does not forward to it. Since Linux 6.8 the question itself makes it notice. Where
 * it takes too long, the first packets may be lost, which is no failure. */
static int wait_until_operational(int sock, const int *indices, size_t count, const char *object,
                                  kl_error *err) {
    const struct timespec pause = {.tv_nsec = LOOK_NANOSECONDS};
    for (int looks = 0; looks < OPERATIONAL_LOOKS; looks++) {
        struct nl_batch batch = {0};
        for (size_t i = 0; i < count; i++)
            add_look(&batch, indices[i]);
        if (nl_run(sock, &batch, object, err) < 0)
            return -1;
        if (!batch.waits)
            return 0;
        nanosleep(&pause, NULL);
    }
    return 0;
}

/* ---- bridge ---- */

/* Frames from port to port pass the firewall wherever br_netfilter is loaded, whatever its sysctls
 * say of other bridges: a pod may know the link-layer address of another, and would pass by network
 * policies. Everything else that bridges can do stays as the kernel has it. A kind that differs
 * from an existing interface's is refused by the kernel, so a foreign interface of that name is
 * never taken for ours. */
static void put_bridge(struct nl_batch *batch) {
    size_t info = nl_nest(batch, IFLA_LINKINFO);
    nl_attr_text(batch, IFLA_INFO_KIND, "bridge");
    size_t data = nl_nest(batch, IFLA_INFO_DATA);
    nl_attr_u32(batch, IFLA_BR_FORWARD_DELAY, 0);
    nl_attr_u32(batch, IFLA_BR_STP_STATE, 0);
    nl_attr_u8(batch, IFLA_BR_NF_CALL_IPTABLES, 1);
    nl_attr_u8(batch, IFLA_BR_NF_CALL_IP6TABLES, 1);
    nl_unnest(batch, data);
    nl_unnest(batch, info);
}

static int bridge_create(int sock, const char *name, uint32_t address, kl_error *err) {
    struct nl_batch batch = {0};
    struct ifinfomsg link = {0};
    nl_begin(&batch, "add bridge", RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof link);
    nl_attr_text(&batch, IFLA_IFNAME, name);
    put_hardware_address(&batch, IFLA_ADDRESS, address);
    put_bridge(&batch);
    nl_end(&batch);
    return nl_run(sock, &batch, name, err);
}

static int bridge_complete(int sock, const char *name, uint32_t address, uint32_t prefix,
                           const uint8_t *upper, kl_error *err) {
    int index = interface_index(sock, name);
    if (index == 0)
        return kl_fail(err, ENODEV, "find bridge", "%s", name);
    struct nl_batch batch = {0};
    begin_change(&batch, "set up bridge", index, name, 0);
    put_bridge(&batch);
    put_no_link_local_address(&batch);
    nl_end(&batch);
    add_up(&batch, "bring up bridge", index, name);
    add_address(&batch, index, ipv4_of(address), 32 - prefix);
    if (upper)
        add_address(&batch, index, ipv6_of(upper, address), 32 - prefix);
    return nl_run(sock, &batch, name, err);
}

int kl_net_bridge(const char *name, uint32_t address, uint32_t prefix, const uint8_t *upper,
                  kl_error *err) {
    if (check_name(name, err) < 0 || check_prefix(prefix, err) < 0)
        return -1;
    SCOPED_FD sock = nl_open(err);
    if (sock < 0)
        return -1;
    bool made = bridge_create(sock, name, address, err) == 0;
    if (!made && err->code != EEXIST)
        return -1;
    return bridge_complete(sock, name, address, prefix, upper, err) < 0 ? -1 : made;
}

/* ---- pod ---- */

static int link_delete(int sock, const char *name, kl_error *err) {
    struct nl_batch batch = {0};
    struct ifinfomsg link = {0};
    nl_begin(&batch, "delete interface", RTM_DELLINK, 0, &link, sizeof link);
    nl_attr_text(&batch, IFLA_IFNAME, name);
    nl_end(&batch);
    return nl_run(sock, &batch, name, err);
}

/* One queue each way: the kernel would make one per possible CPU, and a pair without a queueing
 * discipline has no use for them. */
static void put_single_queue(struct nl_batch *batch) {
    nl_attr_u32(batch, IFLA_NUM_TX_QUEUES, 1);
    nl_attr_u32(batch, IFLA_NUM_RX_QUEUES, 1);
}

/* The pair, its far end born in the pod's namespace under its final name. */
static void add_pair(struct nl_batch *batch, const char *host_name, int bridge,
                     const struct pod_end *pod) {
    struct ifinfomsg link = {0}, peer_link = {0};
    nl_begin(batch, "add veth", RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof link);
    nl_attr_text(batch, IFLA_IFNAME, host_name);
    nl_attr_u32(batch, IFLA_MASTER, (uint32_t)bridge);
    nl_attr_u32(batch, IFLA_MTU, pod->mtu);
    put_single_queue(batch);
    size_t info = nl_nest(batch, IFLA_LINKINFO);
    nl_attr_text(batch, IFLA_INFO_KIND, "veth");
    size_t data = nl_nest(batch, IFLA_INFO_DATA), peer = nl_nest(batch, VETH_INFO_PEER);
    nl_put(batch, &peer_link, sizeof peer_link);
    nl_attr_text(batch, IFLA_IFNAME, pod->name);
    nl_attr_u32(batch, IFLA_NET_NS_FD, (uint32_t)pod->netns);
    put_hardware_address(batch, IFLA_ADDRESS, pod->address);
    nl_attr_u32(batch, IFLA_MTU, pod->mtu);
    put_single_queue(batch);
    nl_unnest(batch, peer);
    nl_unnest(batch, data);
    nl_unnest(batch, info);
    nl_end(batch);
}

/* A pod with NET_RAW can send any frame: its port accepts only the pod's own link-layer address as
 * a source, and receives nothing that is meant for another. Ports are not isolated from each other,
 * since br_netfilter forwards a translated packet from port to port.
 * Hairpin: a pod that calls its own host port gets its packets back through the port they came
 * from. */
static void add_port_settings(struct nl_batch *batch, const char *host_name) {
    static const struct {
        uint16_t attribute;
        uint8_t value;
    } settings[] = {{IFLA_BRPORT_MODE, 1},
                    {IFLA_BRPORT_LEARNING, 0},
                    {IFLA_BRPORT_UNICAST_FLOOD, 0},
                    {IFLA_BRPORT_LOCKED, 1}};
    begin_change(batch, "set up bridge port", 0, host_name, 0);
    size_t info = nl_nest(batch, IFLA_LINKINFO);
    nl_attr_text(batch, IFLA_INFO_SLAVE_KIND, "bridge");
    size_t data = nl_nest(batch, IFLA_INFO_SLAVE_DATA);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        nl_attr_u8(batch, settings[i].attribute, settings[i].value);
    nl_unnest(batch, data);
    nl_unnest(batch, info);
    put_no_link_local_address(batch);
    nl_end(batch);
}

/* The bridge sends frames for the pod to its port alone. */
static void add_forwarding_entry(struct nl_batch *batch, int port, uint32_t address) {
    const struct ndmsg body = {.ndm_family = AF_BRIDGE,
                               .ndm_ifindex = port,
                               .ndm_state = NUD_NOARP,
                               .ndm_flags = NTF_MASTER};
    nl_begin(batch, "add forwarding entry", RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &body,
             sizeof body);
    put_hardware_address(batch, NDA_LLADDR, address);
    nl_end(batch);
}

static void change_neighbour(struct nl_batch *batch, uint16_t type, int index,
                             struct wire_address neighbour, uint32_t address) {
    const struct ndmsg body = {
        .ndm_family = neighbour.family, .ndm_ifindex = index, .ndm_state = NUD_PERMANENT};
    const uint16_t flags = type == RTM_NEWNEIGH ? NLM_F_CREATE | NLM_F_REPLACE : 0;
    nl_begin(batch, "change neighbour", type, flags, &body, sizeof body);
    nl_attr(batch, NDA_DST, neighbour.bytes, neighbour.size);
    if (type == RTM_NEWNEIGH)
        put_hardware_address(batch, NDA_LLADDR, address);
    nl_end(batch);
}

/* The host never asks by ARP or NDP who has a pod's address, nor a pod who has its gateway's:
 * another pod could answer. */
static void change_neighbours(struct nl_batch *batch, uint16_t type, int index, uint32_t address,
                              const uint8_t *upper) {
    change_neighbour(batch, type, index, ipv4_of(address), address);
    if (upper)
        change_neighbour(batch, type, index, ipv6_of(upper, address), address);
}

/* What the bridge knows of a port, besides its settings. */
static int open_port(int sock, const char *host_name, int bridge, uint32_t address,
                     const uint8_t *upper, kl_error *err) {
    struct nl_batch entries = {0};
    const int port = interface_index(sock, host_name);
    if (port == 0)
        return kl_fail(err, ENODEV, "find interface", "%s", host_name);
    add_forwarding_entry(&entries, port, address);
    change_neighbours(&entries, RTM_NEWNEIGH, bridge, address, upper);
    add_up(&entries, "bring up veth", port, host_name);
    return nl_run(sock, &entries, host_name, err);
}

static int attach_host_end(int sock, const char *host_name, int bridge, const struct pod_end *pod,
                           kl_error *err) {
    struct nl_batch pair = {0};
    add_pair(&pair, host_name, bridge, pod);
    add_port_settings(&pair, host_name);
    if (nl_run(sock, &pair, host_name, err) < 0)
        return -1;
    return open_port(sock, host_name, bridge, pod->address, pod->upper, err);
}

/* Whoever sends a router advertisement would become the pod's router, and any pod can:
 * CVE-2020-13401. Only this file says so; /proc/sys/net shows the namespace of the thread that
 * looks, and a kernel without IPv6 has none. */
static int refuse_routers(const char *pod_name, kl_error *err) {
    char path[sizeof "/proc/sys/net/ipv6/conf//accept_ra" + IFNAMSIZ];
    snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/accept_ra", pod_name);
    SCOPED_FD file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return errno == ENOENT ? 0 : kl_fail(err, errno, "open", "%s", path);
    return write(file, "0", 1) < 0 ? kl_fail(err, errno, "write", "%s", path) : 0;
}

/* A socket that speaks to the pod's namespace; the calling thread is back in its own when this
 * returns. */
static int open_inside(const struct pod_end *pod, kl_error *err) {
    SCOPED_FD home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (home < 0)
        return kl_fail(err, errno, "open", "/proc/thread-self/ns/net");
    if (setns(pod->netns, CLONE_NEWNET) < 0)
        return kl_fail(err, errno, "enter network namespace", "of the pod");
    int sock = refuse_routers(pod->name, err) < 0 ? -1 : nl_open(err);
    if (setns(home, CLONE_NEWNET) < 0)
        abort(); /* a caller left in a pod's network would change the wrong one from here on */
    return sock;
}

static int attach_pod_end(const struct pod_end *pod, kl_error *err) {
    SCOPED_FD sock = open_inside(pod, err);
    if (sock < 0)
        return -1;
    int index = interface_index(sock, pod->name);
    if (index == 0)
        return kl_fail(err, ENODEV, "find interface", "%s in the pod", pod->name);
    struct nl_batch batch = {0};
    add_up(&batch, "bring up loopback", LOOPBACK_INDEX, "lo");
    begin_change(&batch, "set up interface", index, pod->name, 0);
    put_no_link_local_address(&batch);
    nl_end(&batch);
    add_up(&batch, "bring up interface", index, pod->name);
    add_address(&batch, index, ipv4_of(pod->address), 32 - pod->prefix);
    add_default_route(&batch, index, ipv4_of(pod->gateway));
    if (pod->upper) {
        add_address(&batch, index, ipv6_of(pod->upper, pod->address), 32 - pod->prefix);
        add_default_route(&batch, index, ipv6_of(pod->upper, pod->gateway));
    }
    change_neighbours(&batch, RTM_NEWNEIGH, index, pod->gateway, pod->upper);
    if (nl_run(sock, &batch, pod->name, err) < 0)
        return -1;
    return wait_until_operational(sock, &index, 1, pod->name, err);
}

/* The bridge has a carrier once a port forwards: it comes behind the port. */
static int wait_for_host_end(int sock, const char *host_name, int bridge, kl_error *err) {
    const int indices[] = {interface_index(sock, host_name), bridge};
    return wait_until_operational(sock, indices, 2, host_name, err);
}

int kl_net_attach(int netns, const char *bridge, const char *host_name, const char *pod_name,
                  uint32_t address, uint32_t prefix, uint32_t gateway, const uint8_t *upper,
                  kl_error *err) {
    struct pod_end pod = {netns, pod_name, address, prefix, gateway, upper, 0};
    if (check_name(bridge, err) < 0 || check_name(host_name, err) < 0 ||
        check_name(pod_name, err) < 0 || check_prefix(prefix, err) < 0)
        return -1;
    SCOPED_FD sock = nl_open(err);
    if (sock < 0)
        return -1;
    int index = interface_index(sock, bridge);
    if (index == 0)
        return kl_fail(err, ENODEV, "find bridge", "%s", bridge);
    pod.mtu = interface_mtu(sock, bridge);
    int rc = attach_host_end(sock, host_name, index, &pod, err);
    if (rc < 0 && err->code == EEXIST && link_delete(sock, host_name, err) == 0)
        rc = attach_host_end(sock, host_name, index, &pod,
                             err); /* a crash had left one of that name */
    if (rc == 0)
        rc = attach_pod_end(&pod, err);
    if (rc == 0)
        rc = wait_for_host_end(sock, host_name, index, err);
    kl_error ignored;
    if (rc < 0)
        link_delete(sock, host_name, &ignored); /* takes the pod's end with it */
    return rc;
}

/* A token bucket in front of an interface: what exceeds the rate waits for as long as a burst
 * takes, then it is dropped. */
static void add_token_bucket(struct nl_batch *batch, int index, uint64_t rate, uint32_t burst) {
    const struct tcmsg body = {
        .tcm_ifindex = index, .tcm_handle = 0x10000, .tcm_parent = TC_H_ROOT};
    const struct tc_tbf_qopt parameters = {
        .rate = {.rate = rate > UINT32_MAX ? UINT32_MAX : (uint32_t)rate,
                 .linklayer = TC_LINKLAYER_ETHERNET},
        .limit = 2 * burst};
    nl_begin(batch, "limit rate", RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, &body, sizeof body);
    nl_attr_text(batch, TCA_KIND, "tbf");
    size_t options = nl_nest(batch, TCA_OPTIONS);
    nl_attr(batch, TCA_TBF_PARMS, &parameters, sizeof parameters);
    nl_attr_u32(batch, TCA_TBF_BURST, burst);
    nl_attr(batch, TCA_TBF_RATE64, &rate, sizeof rate);
    nl_unnest(batch, options);
    nl_end(batch);
}

int kl_net_limit(int netns, const char *name, uint64_t rate, uint32_t burst, kl_error *err) {
    const struct pod_end pod = {.netns = netns, .name = name};
    if (check_name(name, err) < 0)
        return -1;
    SCOPED_FD sock = netns < 0 ? nl_open(err) : open_inside(&pod, err);
    if (sock < 0)
        return -1;
    const int index = interface_index(sock, name);
    if (index == 0)
        return kl_fail(err, ENODEV, "find interface", "%s", name);
    struct nl_batch batch = {0};
    add_token_bucket(&batch, index, rate, burst);
    return nl_run(sock, &batch, name, err);
}

int kl_net_plug(const char *bridge, const char *host_name, uint32_t address, const uint8_t *upper,
                kl_error *err) {
    if (check_name(bridge, err) < 0 || check_name(host_name, err) < 0)
        return -1;
    SCOPED_FD sock = nl_open(err);
    if (sock < 0)
        return -1;
    const int index = interface_index(sock, bridge);
    if (index == 0)
        return kl_fail(err, ENODEV, "find bridge", "%s", bridge);
    struct nl_batch batch = {0};
    begin_change(&batch, "plug in", 0, host_name, 0);
    nl_attr_u32(&batch, IFLA_MASTER, (uint32_t)index);
    nl_end(&batch);
    add_port_settings(&batch, host_name);
    if (nl_run(sock, &batch, host_name, err) < 0)
        return err->code == ENODEV ? 0 : -1;
    if (open_port(sock, host_name, index, address, upper, err) < 0 ||
        wait_for_host_end(sock, host_name, index, err) < 0)
        return -1;
    return 1;
}

int kl_net_delete(const char *name, kl_error *err) {
    if (check_name(name, err) < 0)
        return -1;
    SCOPED_FD sock = nl_open(err);
    if (sock < 0)
        return -1;
    if (link_delete(sock, name, err) == 0)
        return 1;
    return err->code == ENODEV ? 0 : -1;
}

int kl_net_detach(const char *bridge, const char *host_name, uint32_t address, const uint8_t *upper,
                  kl_error *err) {
    if (check_name(bridge, err) < 0 || check_name(host_name, err) < 0)
        return -1;
    SCOPED_FD sock = nl_open(err);
    if (sock < 0)
        return -1;
    const int index = interface_index(sock, bridge);
    struct nl_batch batch = {0};
    change_neighbours(&batch, RTM_DELNEIGH, index, address, upper);
    if (index != 0 && nl_run(sock, &batch, host_name, err) < 0 && err->code != ENOENT)
        return -1;
    if (link_delete(sock, host_name, err) == 0)
        return 1;
    return err->code == ENODEV ? 0 : -1;
}
