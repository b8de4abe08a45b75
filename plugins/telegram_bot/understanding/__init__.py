"""Meaning of what a parent typed: pure functions, French first, English, greetings in more.

| module | decides |
|---|---|
| `text` | what was typed as plain words: without accents, SMS spellings written out, slips mended |
| `times`, `figures` | the months, dates, amounts and numbers that are named |
| `intents` | the door: an intent is a name, its rules and its rank; the first that holds counts |
| `rules` | the bot's own intents |
| `narrowing` | which of the family's invoices the words are about |

Nothing here reads a database, changes anything or knows Telegram.
"""

from plugins.telegram_bot.understanding.intents import Intent, Intents
from plugins.telegram_bot.understanding.meaning import COMMANDS, Meaning, Wish
from plugins.telegram_bot.understanding.narrowing import SERVICES, Narrowed, names_own, narrow
from plugins.telegram_bot.understanding.rules import own, understand
from plugins.telegram_bot.understanding.text import normalise

__all__ = [
    "COMMANDS", "SERVICES", "Intent", "Intents", "Meaning", "Narrowed", "Wish", "names_own",
    "narrow", "normalise", "own", "understand",
]  # fmt: skip
