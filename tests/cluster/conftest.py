"""The fixtures of this layer."""

from tests.cluster.world import cluster

__all__ = ["cluster"]
