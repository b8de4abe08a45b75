"""Ratios between Préau and bare baselines, measured in the same run: see README.md."""
