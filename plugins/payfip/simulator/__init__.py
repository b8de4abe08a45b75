"""A simulator of PayFiP: its web service over real HTTP, its pages, notifications and tickets.

It never moves money, says so on every page, takes test cards only, and refuses mode ``W``.
"""
