"""A town's settings: ``[plugins.cheque_import]`` of its tenant.toml."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from core.plugin import PluginSettings


class DepositAccount(BaseModel):
    """Whom a régie's deposit slips name, and on which account."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    depositor: str = Field(min_length=1, max_length=120)
    account: str = Field(default="", max_length=34)
    siret: str = Field(default="", pattern=r"^(\d{14})?$")


class ChequeSettings(PluginSettings):
    """All of them. Only the key has no default."""

    account_key: SecretStr = Field(min_length=16)
    """Keys the hashes of magnetic lines. Give it as a reference; a new one forgets all accounts."""
    deposit: dict[str, DepositAccount] = Field(default_factory=dict)
    """By régie."""
    hold_post_dated: bool = True
    """A post-dated cheque is not counted as paid before its date."""
    forget_accounts_after_months: int = Field(default=36, ge=1, le=120)
    """An account that paid nothing for so long no longer tells whose it is."""
