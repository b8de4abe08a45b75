"""Towns that go from one installation to another: closing, copying, comparing."""
