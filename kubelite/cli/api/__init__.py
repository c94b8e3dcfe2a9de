"""Verbs for any Kubernetes API, with kubectl's words, options and output.

``common`` reaches the cluster and says which objects a command line means, ``printing`` turns
objects into text; the verbs stand in ``read``, ``write``, ``pods`` and ``nodes``.
"""
