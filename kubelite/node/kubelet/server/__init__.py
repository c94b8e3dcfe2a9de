"""The kubelet's own server: logs, exec, attach, port-forward, figures and health of a node."""
