"""Exchanges with the billing software: payments back to it, and its invoices in by themselves."""
