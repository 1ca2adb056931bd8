"""Messages between workers over unix sockets."""
