"""The face to telescope software: wire format, commands, server."""
