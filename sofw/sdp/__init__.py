"""SDP: line-preserving parse, format and rewriting (RFC 8866)."""
