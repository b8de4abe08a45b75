"""The web platform: security, tenancy, forms, rendering."""
