"""Extension servers: APIService objects, and the groups and versions that they hand over."""
