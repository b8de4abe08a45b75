"""Settings of the e-mail channel that no town sets: the server, and addresses of last resort."""

from __future__ import annotations

from pydantic import Field

from core.plugin import PluginSettings


class EmailInstallation(PluginSettings):
    """The installation's mail server. Core's settings hold these fields (docs/operating.md)."""

    smtp_host: str
    smtp_port: int
    smtp_user: str
    smtp_password: str = Field(repr=False)
    smtp_tls: bool
    smtp_starttls: bool
    mail_from: str
    mail_returns: str
