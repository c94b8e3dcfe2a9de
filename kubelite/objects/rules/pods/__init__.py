"""What Kubernetes says about pods and pod templates: defaults, validation, warnings. Pure."""
