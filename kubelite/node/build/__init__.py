"""Images built from a Containerfile: read, planned, and carried out in containers of our own."""
