import pytest

from core.api.context import RegieInfo
from core.api.invoices import SourceFile
from core.imports.format.csv import CsvSource

REGIES = (
    RegieInfo("PERISCOLAIRE", "Régie périscolaire", collects=True),
    RegieInfo("CRECHE", "Multi-accueil", collects=False),
)


@pytest.fixture
def read(tmp_path):
    """Read bytes (or a path) as the town's source does; everything it yields."""

    def reading(content, name="factures.csv", *, regies=REGIES):
        path = content
        if isinstance(content, bytes):
            path = tmp_path / name
            path.write_bytes(content)
        size = path.stat().st_size
        return list(CsvSource(regies).read(SourceFile(path, name, size)))

    return reading
