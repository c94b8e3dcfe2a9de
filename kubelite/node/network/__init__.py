"""The network of pods: a bridge and a subnet per home, an address per pod, ports of the host,
names.

    errors     what can go wrong                     names      interfaces and tables, from the
    home's key ipam       which subnet, which address           leases     the addresses handed out,
    one file each bridge     the home's bridge and what it needs   ports      host ports that are
    wanted and taken ruleset    the home's firewall table as text     nftables   libnftables, loaded
    on first need resolver   hosts, resolv.conf and hostname       hostfiles  the host's own sockets
    ports that processes hold             pod        all of it, for one pod after the other

It knows neither sandboxes nor containers: whoever makes those brings a network namespace.
"""
