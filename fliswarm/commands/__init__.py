"""The commands, defined once for telescope software and for people."""
