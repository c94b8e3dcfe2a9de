"""Asking containers how they are: probes and hooks over exec, HTTP, TCP and gRPC."""
