"""Pure: who is meant, what differs, what is to be done about it."""
