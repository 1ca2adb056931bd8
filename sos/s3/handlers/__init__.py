"""One function per S3 operation: parse, call a service, return a reply."""
