"""The command line: how people use kubelite.

What a command *does* lives below (node, control, objects); here are its options, its output and its
exit code. ``main`` is the table of commands; each group of commands is a package with a module per
verb; ``common`` is what they share. Typer is imported only for command lines that need it: start-up
time is part of the product.
"""
