"""Seccomp: profiles, their OCI form, and the BPF programs compiled from them."""
