"""The books of a régie: statements, entries, closings and the bank."""
