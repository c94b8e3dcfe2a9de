"""What the scheduler reads of objects: requests, selectors, taints, traits."""
