"""Stored records, their row keys and the pure transitions that change them."""
