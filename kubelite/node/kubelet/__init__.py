"""What a node does with pods: decide the next actions, carry them out through the runtime, report the status.

The deciding modules are pure. This version brings a pod up once and takes it down; it restarts nothing.
"""
