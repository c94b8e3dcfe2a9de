"""The parts of bench/network.py."""
