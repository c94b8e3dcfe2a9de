"""The network of pods: a bridge and a subnet per home, an address per pod, host ports, names.

    errors      what can go wrong               names       interface and table names from the key
    ipam        choice of subnet and address    leases      addresses in use, one file each
    bridge      the bridge and host settings    ports       requested and taken host ports
    firewall_rules  host ports, spoofing guard: the home's table as text
    nftables    runs it through libnftables     counters    bytes of interfaces
    resolver    hosts, resolv.conf, hostname    sockets     host ports of processes
    pod         all of it, for one pod at a time
    netlink     messages, and removals told     announcements  addresses of load balancers
    between     ways to the pods of other nodes  bandwidth  limits that annotations ask for
    families    IPv4 and IPv6, for nftables
    overview    all of it as one document
    firewall_check  whose rules block pods      foreign_rules  how those rules are read
    cni/        the same by CNI plug-ins

It knows neither sandboxes nor containers: callers pass a network namespace.
"""
