"""Commands about the tokens with which machines join a cluster."""
