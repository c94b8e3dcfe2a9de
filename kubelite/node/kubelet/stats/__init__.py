"""What a node and its pods use, and the pages that tell it."""
