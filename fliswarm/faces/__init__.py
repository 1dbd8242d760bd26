"""How commands come in and facts go out, each face in its own words."""
