"""The API server: HTTP in front of the store, and every rule about who may write what.

A request walks: server (TLS) > app > authentication > authorization > the file named after its verb
> admission > store. What decides without acting (strategy, patching, kinds, tables, schema, most of
wire and auth) is pure, and says so in its first lines.
"""
