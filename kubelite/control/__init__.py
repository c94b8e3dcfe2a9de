"""The control plane: what a cluster wants to be."""
