"""Trials at a size that the tests do not have: ``make scale``. docs/scaling.md says what was seen."""
