"""Acts on a whole family: export, erasure, retention, merging."""
