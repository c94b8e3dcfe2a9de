"""The node agent: one background process per state root."""
