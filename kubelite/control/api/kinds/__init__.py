"""What is known of each kind: defaults, validation, what may change, warnings."""
