"""The régies' books: what the journal comes to, what is still owed, and the closed months."""

from core.services.books.accounts import Accounts

__all__ = ["Accounts"]
