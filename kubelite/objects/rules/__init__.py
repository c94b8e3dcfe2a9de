"""What Kubernetes says about objects: defaults and validation."""
