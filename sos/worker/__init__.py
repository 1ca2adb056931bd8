"""What runs in a worker process after the fork."""
