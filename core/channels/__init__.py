"""Notification channels that come with core."""
