"""The ways from this node to the pods of others.

ways      which way leads to each node, and what the VXLAN has to be; pure
messages  the requests of rtnetlink for it; pure
rules     the VXLAN's nftables table as text; pure
peers     makes them, and keeps the record of them
"""
