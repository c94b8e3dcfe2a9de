"""Programs in containers with the caller's terminal or pipes: shared by exec, attach, debug, run."""
