"""Agents of the régie: access, second factor, sessions and their pages."""
