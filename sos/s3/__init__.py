"""The S3 API: the table of operations, routing, authentication, XML and handlers."""
