"""The régie's back office. All of it works without JavaScript; a keyboard is enough.

A view reads the form, calls one use case, and redirects. A refusal shows the page again with the
reason and status 422, which also rolls the transaction back.
"""
