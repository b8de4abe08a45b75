"""The parents' manual (*mode d'emploi*): the help as an illustrated PDF in the town's own look.

Its pictures are the town's own pages, with made-up invoices, drawn without a browser: WeasyPrint
sets their templates by a small sheet (``screen.css``), and PDFium turns that into pictures. It may
use the rooms whose pages it shows, and nothing uses it.
"""
