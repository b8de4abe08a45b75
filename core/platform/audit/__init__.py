"""The audit trail: its rows and its writer."""
