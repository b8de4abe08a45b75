"""The exchange format: CSV and archives, read and written."""
