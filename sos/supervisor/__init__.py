"""Fork, reap, respawn; sockets; readiness and watchdog."""
