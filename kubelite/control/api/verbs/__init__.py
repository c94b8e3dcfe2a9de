"""What each request does: read, write, delete, watch, subresources, streams and proxies."""
