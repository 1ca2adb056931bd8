"""Bounded background jobs: a step, a cancellable wait, visible state."""
