"""What a node does with pods: decide the next actions, carry them out through the runtime, report
the status.

The deciding modules are pure. One worker per pod acts, in the command that a person gave or in the
node agent.
"""
