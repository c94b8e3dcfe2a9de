"""How a stored object changes: patches, server-side apply and field ownership."""
