"""The types that cross the line between core and its plugins. Import them from `core.plugin`."""
