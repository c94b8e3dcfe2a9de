"""The scheduler at work: which pod is next, and what is done with a decision."""
