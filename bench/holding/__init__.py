"""The parts of bench/memory.py."""
