"""What every test may ask for. Fixtures start nothing until they are asked for."""

from __future__ import annotations

pytest_plugins = ["core.testing.database", "core.testing.portal"]
