"""A local Telegram: the Bot API over real HTTP, and a page on which a person plays the parent.

For development, tests and demonstrations only. It answers as the Bot API 9 does for the methods
that a bot of Préau may need, strictly enough that a mistake of ours fails here first. It shares no
code with the plugin: what both misunderstood would otherwise look right.
"""
