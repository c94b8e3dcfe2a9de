"""Sandboxes and containers: making them, entering them, removing them.

This room turns decisions about pods into launch plans and shim messages, and keeps the records that
let any later process go on where this one stopped. It does not decide when a container is started
or restarted; that is the kubelet's.
"""
