"""Parts of bench/cluster.py."""
