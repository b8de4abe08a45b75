"""Money paid too much: credits, their use and their refund."""
