"""Recurring direct debits: their runs, files of banks, rejections, and requests to join."""
