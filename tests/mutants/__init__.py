"""How good the tests are: modules broken on purpose, one small way at a time."""
