"""Bank statements: one reader for each shape in which banks write them."""
