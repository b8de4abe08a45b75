"""Processes: the web application, its routes, and the worker."""
