"""Reminders of unpaid invoices, and the hand-over to the trésorerie."""
