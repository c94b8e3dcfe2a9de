"""What Kubernetes calls things: types, quantities, names, labels, defaults, validation. Pure.

This room decides what a manifest means and whether it can be; what a machine makes of it lives in
``node``.
"""
