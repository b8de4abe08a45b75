"""Papers set by other processes: many at once, and without a typesetter in the own memory.

A press is a child process that takes papers as lines of JSON on its standard input and gives each
PDF, after its length, on its standard output. It is `nice` if asked, and is replaced after
`PAPERS_PER_PRESS`, which bounds its memory. A plain subprocess and no pool of `multiprocessing`:
Celery's workers may have no children of that kind.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from datetime import date
from queue import SimpleQueue
from typing import IO, Self, cast

from core.platform.documents.render import Paper

PAPERS_PER_PRESS = 50
"""Papers (or files of several) of one process: what libraries keep of each goes with it."""
MAX_SECONDS = 300
"""Time for one paper, or one file of a hundred: a process that takes longer is hung, and ends."""
LOOKAHEAD = 2
"""Papers that wait for each process, so that none waits for us."""


class PressError(Exception):
    """A process that sets papers ended before its time."""


class Press:
    """One process that sets papers, started with the first of them."""

    def __init__(self, niceness: int = 0, seconds: int = MAX_SECONDS) -> None:
        """`seconds` that a paper may take."""
        self._niceness = niceness
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._done = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def set(self, paper: Paper) -> bytes:
        """The paper as PDF.

        Raises:
            PressError: the process died, or took too long.
        """
        if self._done >= PAPERS_PER_PRESS:
            self.close()
        process = self._process or self._start()
        to, back = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        try:
            fields = asdict(paper) | {"created": paper.created.isoformat()}
            to.write(json.dumps(fields).encode() + b"\n")
            to.flush()
            length = int(back.readline())
            content = back.read(length)
            if len(content) < length:
                raise EOFError  # noqa: TRY301
        except (OSError, EOFError, ValueError) as error:
            self.close()
            raise PressError(f"the process that sets papers ended at {paper.name}") from error
        self._done += 1
        return content

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", __spec__.name, str(self._niceness), str(self._seconds)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self._done = 0
        return self._process

    def close(self) -> None:
        """End the process, if it runs."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.communicate()


def print_all(
    papers: Iterable[Paper], *, processes: int, niceness: int = 0
) -> Iterator[tuple[Paper, bytes | PressError]]:
    """Each paper and its PDF, in the order of `papers`, set by so many processes.

    A paper at which a process ended has the error in place of its PDF, and the others follow. No
    more than `LOOKAHEAD` papers a process are taken ahead, so that `papers` may be a generator over
    any number.
    """
    with ExitStack() as stack:
        presses: SimpleQueue[Press] = SimpleQueue()
        for _number in range(processes):
            presses.put(stack.enter_context(Press(niceness)))
        threads = stack.enter_context(ThreadPoolExecutor(processes))

        def set_one(paper: Paper) -> bytes | PressError:
            press = presses.get()
            try:
                return press.set(paper)
            except PressError as error:
                return error
            finally:
                presses.put(press)

        waiting: deque[tuple[Paper, Future[bytes | PressError]]] = deque()
        try:
            for paper in papers:
                waiting.append((paper, threads.submit(set_one, paper)))
                if len(waiting) >= processes * LOOKAHEAD:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        finally:
            for _paper, future in waiting:
                future.cancel()


def set_apart(papers: Iterable[Paper]) -> tuple[list[Paper], list[Paper]]:
    """Papers that can be set, each alone, and those that cannot."""
    good, bad = [], []
    with Press() as press:
        for paper in papers:
            try:
                press.set(paper)
            except PressError:
                bad.append(paper)
            else:
                good.append(paper)
    return good, bad


def serve(niceness: int, seconds: int) -> None:
    """Set papers until the standard input ends: the child's side.

    A paper that takes longer than `seconds` ends the process, whoever started it and lives still.
    """
    os.nice(niceness)
    # The standard output is the pipe: whatever prints must not write into it.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    gc.disable()
    for line in sys.stdin.buffer:
        # The kernel ends this process, even where it never comes back to the interpreter.
        signal.alarm(seconds)
        fields = json.loads(line)
        paper = Paper(**fields | {"created": date.fromisoformat(fields["created"])})
        content = paper.document().content
        out.write(f"{len(content)}\n".encode() + content)
        out.flush()
        signal.alarm(0)
        # A paper leaves a million objects in circles: once for each is enough.
        gc.collect()
        gc.freeze()


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
