"""Protobuf messages by tables of field numbers."""
