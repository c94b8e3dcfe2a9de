"""What makes pods run on this machine.

kubelet stands on runtime, and runtime on image, volume, network and cgroup, which do not know
each other.  Nothing here imports the control plane.
"""
