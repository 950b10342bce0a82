"""RTP relaying: header peek, relay ports and the Relay Agent Table."""
