"""Settings of a town for its bot."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator

from core.plugin import PluginSettings

TELEGRAM = "https://api.telegram.org"


class TelegramSettings(PluginSettings):
    """``[plugins.telegram_bot]`` of a town's tenant.toml."""

    token: SecretStr
    """Token that BotFather gave: ``<number>:<secret>``."""
    bot_username: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{3,30}$")
    """The bot's name without @, for the deep link."""
    webhook_secret: SecretStr
    """Telegram sends it back with every update: 16 to 256 of ``A-Z a-z 0-9 _ -``."""
    base_url: str = Field(default=TELEGRAM, pattern=r"^https?://[^\s]+[^/\s]$")
    """Address of the Bot API: the only thing that differs with the simulator."""
    link_url: str = Field(default="https://t.me", pattern=r"^https?://[^\s]+[^/\s]$")
    """Address at which deep links open."""

    @field_validator("token")
    @classmethod
    def _token_has_two_parts(cls, token: SecretStr) -> SecretStr:
        number, _, secret = token.get_secret_value().partition(":")
        if not (number.isdecimal() and secret):
            raise ValueError("expected <number>:<secret>, as BotFather gives it")
        return token

    @field_validator("webhook_secret")
    @classmethod
    def _secret_is_long_and_plain(cls, secret: SecretStr) -> SecretStr:
        value = secret.get_secret_value()
        plain = value.replace("_", "").replace("-", "")
        if not (16 <= len(value) <= 256 and plain.isascii() and plain.isalnum()):
            raise ValueError("expected 16 to 256 letters, digits, _ or -")
        return secret

    @property
    def bot_id(self) -> str:
        """The bot's number, which is no secret: update numbers are unique within it."""
        return self.token.get_secret_value().partition(":")[0]

    def deep_link(self, token: str) -> str:
        """The link that opens the bot and hands it `token`."""
        return f"{self.link_url}/{self.bot_username}?start={token}"
