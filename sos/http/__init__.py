"""Framework-free requests and replies, and the Sanic shell that carries them."""
