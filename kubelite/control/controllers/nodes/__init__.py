"""Controllers of nodes: taints by condition, eviction by taint."""
