"""Hunt for inputs that break a parser, guided by coverage: ``make fuzz ARGS="SECONDS [TARGET]..."``.

Atheris watches which branches of our code and of the libraries' Python an input reaches, and keeps
what is new. An input that breaks a promise is written to ``crash-…`` in the current folder: make it a
test, then mend.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

HERE = Path(__file__)
WATCHED = ["core", "plugins", "markdown_it", "pypdf", "openpyxl"]


def one(name: str, seconds: str) -> None:
    import atheris

    with atheris.instrument_imports(include=WATCHED):
        sys.path.insert(0, str(HERE.parent))
        import fuzz_targets
    warnings.simplefilter("ignore")
    target = fuzz_targets.TARGETS[name]
    corpus = fuzz_targets.folder() / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(target.seeds):
        (corpus / str(number)).write_bytes(seed)
    longest = max(4096, 2 * max(len(seed) for seed in target.seeds))
    atheris.Setup(
        [sys.argv[0], str(corpus), f"-max_total_time={seconds}", f"-max_len={min(longest, 65536)}",
         "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1"],
        lambda content: target.feed(bytes(content)) and None,
    )  # fmt: skip
    atheris.Fuzz()


def main() -> int:
    """One process a target, one after the other; a table of counts at the end."""
    seconds, *names = sys.argv[1:] or ["60"]
    if os.environ.get("PREAU_HUNTED"):
        one(names[0], seconds)
        return 0
    if not names:
        sys.path.insert(0, str(HERE.parent))
        from fuzz_targets import TARGETS

        names = sorted(TARGETS)
    worst = 0
    for name in names:
        done = subprocess.run(
            [sys.executable, str(HERE), seconds, name], capture_output=True, text=True, check=False,
            errors="replace", env={**os.environ, "PREAU_HUNTED": "1"},
        )  # fmt: skip
        units = re.search(r"number_of_executed_units:\s*(\d+)", done.stderr)
        covered = re.findall(r"cov: (\d+) ft: (\d+)", done.stderr)
        state = "well" if done.returncode == 0 else f"BROKEN ({done.returncode})"
        print(
            f"{name:<22}{int(units[1]) if units else 0:>10} inputs"
            f"{covered[-1][0] if covered else '?':>8} branches   {state}", flush=True,
        )  # fmt: skip
        if done.returncode:
            print(done.stderr[-3000:], flush=True)
        worst = max(worst, abs(done.returncode))
    return min(worst, 1)


if __name__ == "__main__":
    sys.exit(main())
