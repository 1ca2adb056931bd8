"""What Prometheus reads: MinIO's names, the true values of all workers together."""
