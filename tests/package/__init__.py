"""SoFW as it is installed: by pip, from a checkout, and as a Debian package."""
