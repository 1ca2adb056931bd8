"""Use cases free of any protocol: objects, multipart, buckets, listing."""
