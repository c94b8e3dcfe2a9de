"""How an object is read, prepared, checked and stored, by the rules of its kind."""
