"""SIP as values and tables (RFC 3261), without input or output."""
