"""Préau's core: tenants, families, invoices, payments, and the hooks that plugins fill."""
