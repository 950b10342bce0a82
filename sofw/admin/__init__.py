"""The control socket, and what it tells."""
