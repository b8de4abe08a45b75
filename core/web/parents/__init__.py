"""The pages of parents, a module for each place of the menu."""
