"""kubelite: Kubernetes pods, natively, in milliseconds."""

__version__ = "0.1.0"
