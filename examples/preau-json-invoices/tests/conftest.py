"""Préau's own fixtures: real servers, started when a test first asks for them."""

pytest_plugins = ["core.testing.database", "core.testing.portal"]
