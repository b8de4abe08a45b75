"""What tests of core and of plugins build on. Wired by ``pytest_plugins`` in tests/conftest.py."""
