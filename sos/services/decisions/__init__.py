"""What was decided in the last hour, why, and what would have been decided under other policies."""
