"""Parts of bench/api.py: a lean client, and the floor it is measured against."""
