"""The running server: the listener, the application, its life cycle and what a new cluster is
seeded with.
"""
