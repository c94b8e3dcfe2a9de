"""The network of pods: a bridge and a subnet per home, an address per pod, host ports, names.

    errors      what can go wrong               names       interface and table names from the key
    ipam        choice of subnet and address    leases      addresses in use, one file each
    bridge      the bridge and host settings    ports       requested and taken host ports
    ruleset     the firewall table as text      nftables    runs it through libnftables
    resolver    hosts, resolv.conf, hostname    hostfiles   the host's own such files
    sockets     host ports of processes         pod         all of it, for one pod at a time
    netlink     messages, and removals told     announcements  addresses of load balancers
    bandwidth   limits that annotations ask for
    foreign_rules  what rules of others do      ways        with packets of pods

It knows neither sandboxes nor containers: callers pass a network namespace.
"""
