"""Values, rules and the error tree: pure, without I/O."""
