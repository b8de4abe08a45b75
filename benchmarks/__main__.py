"""All benchmarks, one after the other: ``make bench``.

A missed aim is a line of the table; only a benchmark that breaks makes the command fail. Named ones
replace their own part of results.json and leave the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import against
from benchmarks.measure import Result, table

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
PLOTS = HERE.parent / "docs" / "performance"


def names() -> list[str]:
    """Every module with a `run`. Read, not imported: what importing costs is measured too."""
    return sorted(path.stem for path in HERE.glob("*.py") if "\ndef run(" in path.read_text())


def measured(name: str, *, quick: bool) -> list[dict[str, Any]]:
    """The results of one benchmark.

    Raises:
        CalledProcessError: it failed.
    """
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json"]
    if quick:
        command.append("--quick")
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=HERE.parent)
    return [{"benchmark": name, **one, "machine": machine()} for one in json.loads(done.stdout)]


def machine() -> dict[str, Any]:
    """Where and when the figures are from."""
    cpu = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu[0] if cpu else platform.processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
    }


def kept(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The results of this run, and those of earlier runs that it did not repeat."""
    again = {line["benchmark"] for line in lines}
    earlier = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    stays = [
        line for line in earlier if line["benchmark"] not in again and line["benchmark"] in names()
    ]
    return sorted(lines + stays, key=lambda line: line["benchmark"])


def compare(options: argparse.Namespace) -> int:
    """Measure this build and another in turns, and print how they compare."""
    found, remarks, broken = against.compare(
        options.names or names(), options.against, rounds=options.rounds, quick=options.quick
    )
    if options.json:
        print(json.dumps([one.as_json() for one in found], ensure_ascii=False, indent=1))
    else:
        print(against.table(found))
    print("", *remarks, sep="\n", file=sys.stderr)
    if broken:
        print(f"These broke: {', '.join(broken)}", file=sys.stderr)
    return bool(broken)


def main() -> int:
    """Measure, print, and keep what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(names()))
    parser.add_argument("--quick", action="store_true", help="do they work? Keeps nothing")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--against", metavar="commit", help="compare with it; keeps nothing")
    parser.add_argument("--rounds", type=int, default=against.ROUNDS, help="of the comparison")
    options = parser.parse_args()
    if unknown := set(options.names) - set(names()):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    if options.against:
        return compare(options)
    lines: list[dict[str, Any]] = []
    failed = []
    for name in options.names or names():
        print(f"{name} ...", file=sys.stderr, flush=True)
        try:
            lines += measured(name, quick=options.quick)
        except subprocess.CalledProcessError:
            failed.append(name)
    if options.json:
        print(json.dumps(lines, ensure_ascii=False, indent=1))
    else:
        print(table(Result.from_json(line) for line in lines))
    if not options.quick:
        RESULTS.write_text(json.dumps(kept(lines), ensure_ascii=False, indent=1) + "\n")
        # After what took so long to measure: what draws may not be installed.
        from benchmarks import plots

        plots.draw([Result.from_json(line) for line in kept(lines)], PLOTS)
    if failed:
        print(f"These broke: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
