"""The plugins that ship with Préau. Each enters core by its entry point alone."""
