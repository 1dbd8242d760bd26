"""The live fleet: its nodes, what is known of them, who is enabled."""
