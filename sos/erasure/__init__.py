"""One erasure set: codec, stripes, writer, reader, the commit protocol and its owner."""
