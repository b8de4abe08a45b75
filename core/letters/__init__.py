"""Words of messages to families and agents, gathered when each leaves."""
