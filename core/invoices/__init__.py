"""Invoices: what families owe, their lines and papers."""
