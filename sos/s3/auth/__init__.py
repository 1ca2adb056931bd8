"""Signatures, body framings and POST policies of the S3 API."""
