"""The service proxy: Services and EndpointSlices as nftables maps of this node."""
