"""Small mechanisms without knowledge of objects: shared pages, aligned buffers, clocks, identifiers."""
