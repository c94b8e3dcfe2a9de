"""Programs in containers with the caller's terminal or pipes: for exec, attach, debug and run."""
