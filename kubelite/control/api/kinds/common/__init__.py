"""What several kinds share: addresses, metadata, match rules, small checks."""
