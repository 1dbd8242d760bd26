"""Changes of the world: lists of steps, each noted before it is done."""
