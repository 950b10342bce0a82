"""The tunnel as values: frames, link, outbox and what its HTTP looks like."""
