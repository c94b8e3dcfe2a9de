"""The DNS server of a node: names of Services and pods, and everything else by forwarding."""
