"""Tenants: reading their tenant.toml, and finding the one of a request."""
