"""Plugins: discovery, contained calls, cached answers, events."""
