"""Links that work once and soon: to pay, to confirm an address, for lost codes."""
