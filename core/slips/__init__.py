"""Titles that are handed over: their piles and numbered slips."""
