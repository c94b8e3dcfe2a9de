"""Types of built-in kinds and schemas of custom ones: structs, validation, CEL, conversion."""
