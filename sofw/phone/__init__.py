"""A small SIP phone, for demonstrations and tests where no other one is at hand."""
