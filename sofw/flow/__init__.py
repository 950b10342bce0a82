"""The order of the steps of signalling and media, and nothing else."""
