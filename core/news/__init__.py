"""News, pictures and the front page of a town."""
