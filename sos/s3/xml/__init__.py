"""XML documents of the S3 API."""
