"""The typed Pod that the node works with."""
