"""Facts of the API: quantities, names, kinds, field tables, labels."""
