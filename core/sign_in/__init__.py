"""Parents who sign in: accounts, sessions and their pages."""
