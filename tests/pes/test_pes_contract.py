"""What Préau relies on, whoever wrote the source."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pes_writing import attachment, line, many, pes, piece, refers_to, slip, write

from core.testing.conformance import InvoiceSourceContract
from plugins.pes_recette import PesSettings
from plugins.pes_recette.source import PesSource


class TestPes(InvoiceSourceContract):
    """A slip of many pieces."""

    many = 500  # Python's own memory; lxml's is measured below.

    @pytest.fixture
    def source(self):
        return PesSource(PesSettings(regie="CANTINE"))

    def write(self, folder: Path, count: int) -> Path:
        return write(folder, many(count))


class TestPesWithAttachments(InvoiceSourceContract):
    """A slip whose PDFs came with it."""

    many = 200

    @pytest.fixture
    def source(self):
        return PesSource(PesSettings(regie="CANTINE"))

    def write(self, folder: Path, count: int) -> Path:
        pdf = b"%PDF-1.7\n" + b"x" * 40_000
        pieces = (piece(line(), number=n, inside=refers_to(f"PJ{n}")) for n in range(1, count + 1))
        files = (attachment(f"PJ{n}", pdf + bytes([n % 256])) for n in range(1, count + 1))
        total = f"{count * 4160 // 100}.{count * 4160 % 100:02d}"
        return write(folder, pes(slip(*pieces, total=total), attachments=files))


READING = """
import resource, sys
from pathlib import Path
from core.plugin import SourceFile
from plugins.pes_recette import PesSettings
from plugins.pes_recette.source import PesSource
source = PesSource(PesSettings(regie="CANTINE"))
heights = []
for path in map(Path, sys.argv[1:]):
    assert sum(1 for _item in source.read(SourceFile(path, path.name, 0))) > 10
    heights.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(heights[-1] - heights[0])
"""


def test_the_memory_of_the_process_stays_flat(tmp_path):
    """A tree of this file would take some ten times its 2 MB."""
    for name, count in (("small", 20), ("large", 1500)):
        (tmp_path / name).mkdir()
        write(tmp_path / name, many(count))
    files = [str(tmp_path / name / "recette.xml") for name in ("small", "large")]
    command = [sys.executable, "-W", "ignore", "-c", READING, *files]
    grown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert int(grown) < 5 * 1024, "kilobytes"
