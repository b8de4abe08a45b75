"""The pages: a Pyramid application over the services."""
