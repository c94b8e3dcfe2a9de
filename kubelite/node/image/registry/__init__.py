"""Pulling and pushing images: the OCI distribution protocol, credentials, mirrors."""
