"""Built-in invoice sources."""
