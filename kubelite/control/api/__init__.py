"""The API server: HTTP in front of the store, and every rule about who may write what.

A request walks: server (TLS) > app > authentication > authorization > the file named after its verb
> admission > store. The files that only think (status, resource, paths, selectors, strategy, patch,
fields, tables, discovery, openapi, rbac) are pure.
"""
