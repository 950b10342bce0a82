"""The edge: every Twisted protocol, no decisions."""
