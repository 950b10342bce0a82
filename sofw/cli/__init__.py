"""The sofw command."""
