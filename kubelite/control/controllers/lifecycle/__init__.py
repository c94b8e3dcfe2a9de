"""Controllers of the life of objects: collection of what nobody owns, ends of namespaces."""
