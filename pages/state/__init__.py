"""What a session remembers and what stands in the address: one record a page."""
