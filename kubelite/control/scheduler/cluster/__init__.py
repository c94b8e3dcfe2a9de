"""The cluster as the scheduler sees it, as numbers, and the decisions made over them."""
