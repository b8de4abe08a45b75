"""Machinery that knows no subject of the portal."""
