"""Payments: ledger, online attempts, counter and receipts."""
