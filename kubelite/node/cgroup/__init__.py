"""Control groups.

Which ones this machine has, what a pod's limits are written as, and the groups themselves.
"""
