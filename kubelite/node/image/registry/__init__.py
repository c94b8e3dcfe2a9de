"""Pulling images from registries: the OCI distribution protocol, credentials, mirrors."""
