"""Yearly tax certificates."""
