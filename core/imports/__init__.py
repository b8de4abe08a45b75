"""Files of invoices: reading, preview, publication, undo and corrections."""
