"""The expressions of Kubernetes (CEL): how they are read, and which types they may have. Pure."""
