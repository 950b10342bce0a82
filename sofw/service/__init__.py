"""Composition: configuration and the object graph of each half."""
