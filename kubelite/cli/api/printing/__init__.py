"""Objects as text: tables, documents, paths and columns."""
