"""The warm way: a process that has imported everything runs command lines in children of its own.

``csrc/launcher`` is the installed command. It hands a command line to this process where one runs,
and executes Python where none does; nothing depends on it but time.
"""
