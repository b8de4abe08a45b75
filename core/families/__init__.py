"""Families, their children, access codes and addresses."""
