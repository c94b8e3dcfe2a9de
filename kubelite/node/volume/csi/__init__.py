"""Volumes of CSI drivers: registered plug-ins, their calls, volumes staged and published."""
