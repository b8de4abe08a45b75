"""Tools for tests of core and of plugins. Wired by ``pytest_plugins`` in tests/conftest.py."""
