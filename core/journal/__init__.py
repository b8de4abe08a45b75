"""The numbered, chained journal of a régie: its rows and its only writer."""
