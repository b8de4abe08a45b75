"""Services: the only writers. Each works for one town in one unit of work."""
