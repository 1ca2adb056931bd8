"""The benchmark: a light client whose requests are signed ahead of the run."""
