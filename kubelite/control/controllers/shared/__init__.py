"""Pure helpers that several controllers use."""
