"""Stand-ins and small helpers that several tests share."""
