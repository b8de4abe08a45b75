"""Messages of agents to many families: written, previewed, counted, sent in steps, stopped."""
