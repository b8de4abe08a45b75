"""Effects that leave after the commit: rows, relay, delivery."""
