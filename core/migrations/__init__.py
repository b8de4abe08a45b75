"""Alembic's environment and core's own versions. Plugins bring theirs as branches."""
