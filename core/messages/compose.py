"""Composing a message: its subject, its text and its HTML."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from core.api.messages import Document, Link, Message
from core.platform import i18n
from core.platform.templating import configure


@dataclass(frozen=True, slots=True)
class Letter:
    """Content of a message, before it is put into words.

    `kind` names the template, whose context is `data` and `town` (the town's name and accent
    colour); `action` is the one thing to do.
    """

    kind: str
    language: str
    town: str
    accent: str
    accent_ink: str
    action: Link | None = None
    data: dict[str, Any] = field(default_factory=dict)
    documents: tuple[Document, ...] = ()
    invoice_ids: tuple[int, ...] = ()
    unsubscribe_url: str = ""
    template: str = ""
    """Name of a template that several kinds share; if empty, `kind` is the name."""


def compose(letter: Letter) -> Message:
    """Put a letter into words, in its language."""
    with i18n.use(letter.language):
        plain, marked = (_macros(letter, html=as_html) for as_html in (False, True))
        title = str(plain.subject()).strip()
        # Words of an agent's that nobody translated stand in a letter of another language.
        written_in = getattr(letter.data.get("written"), "language", letter.language)
        html, text = (
            _environment(html=as_html)
            .get_template(f"_frame.{'html' if as_html else 'txt'}.jinja2")
            .render(
                letter=letter,
                title=title,
                written_in=written_in,
                paragraphs=_paragraphs(str(macros.body())),
            )
            for as_html, macros in ((True, marked), (False, plain))
        )
    return Message(
        kind=letter.kind,
        language=letter.language,
        subject=f"{letter.town} – {title}",
        text=text,
        html=html,
        links=(letter.action,) if letter.action else (),
        documents=letter.documents,
        invoice_ids=letter.invoice_ids,
        unsubscribe_url=letter.unsubscribe_url,
    )


def _macros(letter: Letter, *, html: bool) -> Any:
    """The macros of the letter's template, escaped for HTML or plain."""
    template = _environment(html=html).get_template(f"{letter.template or letter.kind}.jinja2")
    return template.make_module({"letter": letter, **letter.data})


@pass_context
def _french(context: Context, words: str) -> str:
    """Words that the régie wrote, marked as French in the HTML of a letter in another language."""
    if context["letter"].language == i18n.SOURCE_LOCALE or not context.eval_ctx.autoescape:
        return words
    return Markup("\n\n").join(
        Markup('<span lang="{}">{}</span>').format(i18n.SOURCE_LOCALE, paragraph)
        for paragraph in _paragraphs(words)
    )


def _paragraphs(body: str) -> list[str]:
    return [paragraph.strip() for paragraph in body.split("\n\n") if paragraph.strip()]


@cache
def _environment(*, html: bool) -> Environment:
    env = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates" / "letters"),
        autoescape=html,  # noqa: S701 - the other is plain text
        undefined=StrictUndefined,
        auto_reload=False,  # It would ask the disk for each of a mailing's letters, five times.
        trim_blocks=True,
        lstrip_blocks=True,
    )
    configure(env)
    env.filters["french"] = _french
    return env
