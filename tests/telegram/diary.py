"""A conversation on the simulated telephone, written down for the docs."""

from __future__ import annotations

import re
from pathlib import Path


class Diary:
    """Notes what the parent does and what then stands in the chat."""

    def __init__(self, parent, head):
        self.parent = parent
        self.lines = [head]
        self.seen = len(parent.messages)

    def day(self, title):
        self.lines.append(f"\n## {title}\n")

    def types(self, text):
        self.lines.append(f"**Parent** : {text}\n")
        self.parent.types(text)
        self._note()

    def taps(self, label):
        self.lines.append(f"**Parent** touche [{label}]\n")
        before = {message["message_id"]: message.get("text") for message in self.parent.messages}
        shown = self.parent.taps(label)
        replaced = shown.get("text") != before.get(shown["message_id"], shown.get("text"))
        if len(self.parent.messages) == len(before) or replaced:
            self._say(shown)
        self._note()

    def arrives(self):
        self._note()

    def played(self):
        """What was said, with plain spaces."""
        return re.sub(r"[\u00a0\u202f]", " ", "\n".join(self.lines))

    def _note(self):
        for message in self.parent.messages[self.seen :]:
            if message["from"]["is_bot"]:
                self._say(message)
        self.seen = len(self.parent.messages)

    def _say(self, message):
        text = message.get("text") or f"📎 {message['document']['file_name']}\n{message['caption']}"
        rows = message.get("reply_markup", {}).get("inline_keyboard", [])
        lines = [f"> {line}".rstrip() for line in text.splitlines()]
        lines += [f">\n> {' '.join('[' + b['text'] + ']' for b in row)}" for row in rows]
        self.lines.append("\n".join(lines) + "\n")


def written(path: Path) -> str:
    """A transcript of the docs, with plain spaces."""
    return re.sub(r"[\u00a0\u202f]", " ", path.read_text("utf-8")) if path.exists() else ""
