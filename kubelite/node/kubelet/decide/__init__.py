"""What a pod needs next, and what is said of it: pure decisions."""
