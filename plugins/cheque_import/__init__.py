"""Cheques: import, reconcile, deposit, bounce."""
