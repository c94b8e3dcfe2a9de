"""Controllers of persistent volumes: binding, protection, ephemeral claims, expansion."""
