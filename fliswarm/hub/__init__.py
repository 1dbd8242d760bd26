"""Tron, the hub of the telescope's programs, and power that is switched through it."""
