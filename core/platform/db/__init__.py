"""The database: declarative base, engines, sessions, row-level security."""
