"""The wording of messages to families: one template a kind, plain text and HTML from the same."""

from core.letters.render import Letter, compose

__all__ = ["Letter", "compose"]
