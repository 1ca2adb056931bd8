"""sos: an S3-compatible, erasure-coded object store for bare metal."""

__version__ = "0.1.0"
