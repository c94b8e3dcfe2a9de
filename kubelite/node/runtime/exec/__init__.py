"""Further processes in a running container: exec sessions, probe commands, tools."""
