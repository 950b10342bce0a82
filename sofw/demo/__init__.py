"""The set of `sofw demo` and of the end-to-end lab: networks, firewall, web proxy, phones, speech."""
