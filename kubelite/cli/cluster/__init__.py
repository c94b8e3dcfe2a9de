"""The commands of a whole cluster: ``up``, ``down``, ``status``, ``kubeconfig``."""
