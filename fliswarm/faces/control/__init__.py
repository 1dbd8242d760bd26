"""The face to people: the same commands as JSON lines on a unix socket."""
