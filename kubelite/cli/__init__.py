"""The command line: the door through which people use kubelite.

What a command *does* lives below (node, objects); here lie its words, its output and its exit code.
Typer is only imported for command lines that need it, and rich only for help pages: start-up time
is part of the product.
"""
