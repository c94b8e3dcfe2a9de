"""What the verbs share: the cluster, its resources, and the objects that are meant."""
