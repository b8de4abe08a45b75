"""The head of a town's papers."""

from __future__ import annotations

from core.platform.documents.sheets import Letterhead, Logo
from core.platform.tenancy.config import TenantConfig

_LOGO_TYPES = {".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg"}


def letterhead(town: TenantConfig) -> Letterhead:
    """The head of the town's papers: its name, logo, colour, address and contact."""
    file = town.file
    logo = None
    if file.look.logo:
        path = town.folder / file.look.logo
        logo = Logo(path.read_bytes(), _LOGO_TYPES[path.suffix.lower()])
    contact = tuple(filter(None, (file.contact.phone, file.contact.email, file.contact.hours)))
    return Letterhead(town.name, tuple(file.contact.address), contact, logo, file.look.accent)
