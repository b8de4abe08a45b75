"""Pages that belong to no town, and the pages for errors."""
