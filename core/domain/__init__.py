"""Decisions as pure functions of the standard library: no database, no web, no clock."""
