"""Files of direct debits that came in: what was debited, and what was sent back.

Two kinds are read: messages of ISO 20022 (pain.002, camt.052 to camt.054) and tables. Nothing of an
account is read of either.
"""
