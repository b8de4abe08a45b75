"""Towns: reading their tenant.toml, and finding which one a request is for."""
