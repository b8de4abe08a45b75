"""Pages that look at all rooms: dashboard, search, health, audit trail."""
