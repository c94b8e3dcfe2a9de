"""Admission that a cluster's users configure: policies with CEL, and webhooks."""
