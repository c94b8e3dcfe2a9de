"""The words of the command line, declared for Typer: options, arguments and help. What they do lies
one level up.
"""
