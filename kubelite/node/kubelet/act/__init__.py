"""Carrying out what was decided: one worker per pod."""
