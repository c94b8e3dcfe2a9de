"""The node wing: what makes pods run on this machine.

kubelet stands on runtime, and runtime on image, volume, network and cgroup, which do not know
each other.  Nothing here talks to the control wing.
"""
