"""The parts of bench/schedule.py."""
