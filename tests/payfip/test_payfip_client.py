"""The client on a bad line: every wait is bounded, and nothing is sent twice that must not be."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from core.testing.waiting import PATIENCE_SECONDS
from plugins.payfip import contract
from plugins.payfip.breaker import Breaker
from plugins.payfip.client import Client
from plugins.payfip.clients import Clients
from plugins.payfip.contract import Operation
from plugins.payfip.faults import CircuitOpenError, PayFiPFaultError, UnavailableError
from plugins.payfip.fields import Creation
from plugins.payfip.places import follows
from plugins.payfip.wire import MAX_ANSWER_BYTES

CREATION = Creation("2026", "a@b.fr", "5687", "006382", "X", "ABC", "T", "http://x/n", "http://x/r")
ID_OP = "e19a1e58-4f3a-4038-a2e8-f4a43c22ae99"


def ok(operation: Operation, **values: str) -> bytes:
    element = contract.wrapped(f"{operation}Response", "return", values.items())
    return http(contract.envelope(element, prefix="S"))


def http(content: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


Script = Callable[[socket.socket], None]


def say(content: bytes) -> Script:
    return lambda connection: connection.sendall(content)


def hang(connection: socket.socket) -> None:
    """Answer nothing for minutes, or until the client has enough."""
    connection.settimeout(2 * PATIENCE_SECONDS)
    with suppress(OSError):
        connection.recv(1)


def hang_up(_connection: socket.socket) -> None:
    """Read the question, and close."""


def drip(content: bytes, pause: float) -> Script:
    def run(connection: socket.socket) -> None:
        try:
            for i in range(len(content)):
                connection.sendall(content[i : i + 1])
                time.sleep(pause)
        except OSError:
            pass  # the client had enough: that is the point

    return run


class Line:
    """A server that answers each connection as its script says, and counts the questions."""

    def __init__(self, scripts: list[Script]) -> None:
        self.scripts = scripts
        self.asked: list[bytes] = []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.server.getsockname()[1]}/"
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            with connection:
                request = connection.recv(65536)
                while not request.startswith(b"CONNECT ") and (
                    b"Envelope>" not in request.split(b"\r\n\r\n", 1)[-1]
                ):
                    request += connection.recv(65536)
                script = self.scripts[min(len(self.asked), len(self.scripts) - 1)]
                self.asked.append(request)
                script(connection)


@contextmanager
def line(*scripts: Script, **options: Any) -> Iterator[tuple[Line, Client]]:
    made = Line(list(scripts))
    # A busy machine is no failure: only those who wait for the end of the time say how short it is.
    client = Client(made.url, **{"connect_timeout": 20, "read_timeout": 20} | options)
    try:
        yield made, client
    finally:
        client.close()
        # shutdown wakes accept(), which close alone does not.
        made.server.shutdown(socket.SHUT_RDWR)
        made.server.close()
        made.thread.join(PATIENCE_SECONDS)


def test_a_creation_sends_a_soap_1_1_post_with_an_empty_action() -> None:
    with line(say(ok(Operation.CREATE, idOp=ID_OP))) as (server, client):
        assert client.create(CREATION) == ID_OP
    head, _, content = server.asked[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST / HTTP/1.1\r\n")
    assert b'soapaction: ""' in head.lower()
    assert b"content-type: text/xml; charset=utf-8" in head.lower()
    assert content == contract.request(Operation.CREATE, dict(CREATION.items()))


def through(proxy: Line, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client made where the environment names a proxy."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, proxy.url)
    return Client(endpoint, connect_timeout=20, read_timeout=20)


def test_an_outgoing_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    with (
        line(say(ok(Operation.CREATE, idOp=ID_OP))) as (proxy, _client),
        through(proxy, "http://payfip.example/service", monkeypatch) as client,
    ):
        assert client.create(CREATION) == ID_OP
    assert proxy.asked[0].startswith(b"POST http://payfip.example/service HTTP/1.1\r\n")


@pytest.mark.parametrize("name", ["http_proxy", "all_proxy"])
def test_a_proxy_may_be_named_without_its_scheme(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for other in ("no_proxy", "http_proxy", "https_proxy"):
        monkeypatch.delenv(other, raising=False)
    with line(say(ok(Operation.CREATE, idOp=ID_OP))) as (proxy, _client):
        monkeypatch.setenv(name, proxy.url.removeprefix("http://").rstrip("/"))
        with Client("http://payfip.example/service") as client:
            assert client.create(CREATION) == ID_OP
    assert proxy.asked


def test_a_proxy_sees_of_https_only_where_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    with (
        line(say(http(b"", "403 Forbidden"))) as (proxy, _client),
        through(proxy, "https://payfip.example/service", monkeypatch) as client,
        pytest.raises(UnavailableError),
    ):
        client.create(CREATION)
    assert proxy.asked[0].startswith(b"CONNECT payfip.example:443 HTTP/1.1\r\n")
    assert b"006382" not in proxy.asked[0]


@pytest.mark.parametrize(
    ("host", "exempt"),
    [
        pytest.param("127.1", "127.1", id="named"),  # our own machine, by a name that is not known
        pytest.param("127.1", "*", id="all"),
        pytest.param("127.0.0.1", "", id="the simulator, on this machine"),
    ],
)
def test_what_no_proxy_leads_to_is_asked_directly(
    host: str, exempt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", exempt)
    with (
        line() as (proxy, _client),
        line(say(ok(Operation.CREATE, idOp=ID_OP))) as (service, _other),
        through(proxy, service.url.replace("127.0.0.1", host), monkeypatch) as client,
    ):
        assert client.create(CREATION) == ID_OP
    assert not proxy.asked


def test_no_answer_costs_the_read_time_out_and_no_second_question() -> None:
    with line(hang, read_timeout=0.4) as (server, client):
        started = time.monotonic()
        with pytest.raises(UnavailableError):
            client.payment(ID_OP)
        assert time.monotonic() - started < PATIENCE_SECONDS
        assert len(server.asked) == 1


def test_a_body_that_drips_is_cut_off() -> None:
    """Each byte comes in time; a time-out for each piece alone would wait for ever."""
    content = ok(Operation.CLIENT, numcli="006382")
    head, _, rest = content.partition(b"\r\n\r\n")

    def run(connection: socket.socket) -> None:
        connection.sendall(head + b"\r\n\r\n")
        drip(rest, 0.05)(connection)

    with line(run, read_timeout=0.4) as (_server, client), pytest.raises(UnavailableError):
        client.regie("006382")


def test_headers_that_drip_are_cut_off() -> None:
    """Each byte comes long before the read time-out, and the head has no end for seconds."""
    content = ok(Operation.CLIENT, numcli="006382").replace(
        b"\r\n\r\n", b"\r\nX-Slow: " + b"x" * 200 + b"\r\n\r\n", 1
    )
    for operation in ("regie", "create"):
        with line(drip(content, 0.05), read_timeout=0.4) as (_server, client), pytest.raises(UnavailableError):
            client.create(CREATION) if operation == "create" else client.regie("006382")


class Ahead:
    """The clock, which goes ahead when told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.seconds


def test_a_kept_connection_is_bounded_as_well() -> None:
    good, clock = ok(Operation.CLIENT, numcli="006382"), Ahead()

    def twice(connection: socket.socket) -> None:
        connection.sendall(good)
        connection.recv(65536)
        clock.seconds += PATIENCE_SECONDS - 0.4
        drip(good, 0.05)(connection)

    with line(twice, read_timeout=PATIENCE_SECONDS, clock=clock) as (server, client):
        assert client.regie("006382").numcli == "006382"
        with pytest.raises(UnavailableError):
            client.regie("006382")
        assert len(server.asked) == 1


def test_a_line_that_breaks_late_gets_no_second_measure_of_time() -> None:
    clock = Ahead()

    def broken(connection: socket.socket) -> None:
        clock.seconds += PATIENCE_SECONDS - 5

    with line(broken, hang, read_timeout=PATIENCE_SECONDS, clock=clock) as (server, client):
        started = time.monotonic()
        with pytest.raises(UnavailableError):
            client.regie("006382")
        assert time.monotonic() - started < PATIENCE_SECONDS
        assert len(server.asked) == 2


def moved(status: str, place: str) -> Script:
    return say(http(b"", f"{status} Moved\r\nConnection: close\r\nLocation: {place}"))


@pytest.mark.parametrize("status", ["301", "302", "307", "308"])
@pytest.mark.parametrize("whole", [True, False])
def test_a_read_follows_the_service_where_it_moved(status: str, whole: bool) -> None:
    answer = say(ok(Operation.CLIENT, numcli="006382"))
    with line(moved(status, "/tpa/neuf"), answer) as (server, client):
        if whole:
            server.scripts[0] = moved(status, f"{server.url}tpa/neuf")
        assert client.regie("006382").numcli == "006382"
        assert client.moved_to == f"{server.url}tpa/neuf"
        first, second = server.asked
    # The same message, by the same method.
    assert second.startswith(b"POST /tpa/neuf HTTP/1.1\r\n")
    assert second.partition(b"\r\n\r\n")[2] == first.partition(b"\r\n\r\n")[2]
    assert b'soapaction: ""' in second.lower()


def test_a_service_that_is_back_has_not_moved() -> None:
    answer = say(ok(Operation.CLIENT, numcli="006382"))
    with line(moved("307", "/x"), answer, answer) as (_server, client):
        client.regie("006382")
        client.regie("006382")
        assert client.moved_to == ""


@pytest.mark.parametrize("status", ["307", "308"])
def test_a_creation_is_sent_on_once(status: str) -> None:
    with line(moved(status, "/neuf"), say(ok(Operation.CREATE, idOp=ID_OP))) as (server, client):
        assert client.create(CREATION) == ID_OP
        assert len(server.asked) == 2
    again = moved(status, "/ailleurs")
    with line(again, again, say(ok(Operation.CREATE, idOp=ID_OP))) as (server, client):
        with pytest.raises(UnavailableError):
            client.create(CREATION)
        assert len(server.asked) == 2


@pytest.mark.parametrize("status", ["300", "301", "302", "303", "304"])
def test_a_creation_is_not_sent_on_where_the_method_may_change(status: str) -> None:
    with line(moved(status, "/neuf"), say(ok(Operation.CREATE, idOp=ID_OP))) as (server, client):
        with pytest.raises(UnavailableError) as caught:
            client.create(CREATION)
        assert status in caught.value.reason
        assert len(server.asked) == 1


@pytest.mark.parametrize("status", ["301", "308"])
@pytest.mark.parametrize(
    "place", ["", "https://payfip.example/", "http://user@127.0.0.1/", "http://[::1", "ftp://x/"]
)
def test_no_message_is_sent_to_strangers(status: str, place: str) -> None:
    with line(moved(status, place), say(ok(Operation.CLIENT, numcli="1"))) as (server, client):
        with pytest.raises(UnavailableError):
            client.regie("006382")
        assert len(server.asked) == 1


def test_a_service_that_sends_round_in_circles_is_away() -> None:
    with line(moved("307", "/again")) as (server, client):
        with pytest.raises(UnavailableError):
            client.regie("006382")
        assert len(server.asked) <= 5


PAYFIP = "https://www.payfip.gouv.fr/tpa/services/securite"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("https://www.tipi.budget.gouv.fr/tpa/services/securite", True),
        ("https://www.payfip.gouv.fr:443/autre", True),
        ("https://WWW.PAYFIP.GOUV.FR/autre", True),
        ("http://www.payfip.gouv.fr/tpa/services/securite", False),
        ("https://www.payfip.gouv.fr:8443/tpa", False),
        ("https://x:y@www.payfip.gouv.fr/tpa", False),
        ("https://www.payfip.gouv.fr.example/tpa", False),
        ("https://payfipgouv.fr/tpa", False),
        ("https://gouv.fr/tpa", False),
        ("https://payfip.example#.gouv.fr/tpa", False),
        ("https://payfip.example?.gouv.fr/tpa", False),
        ("https://payfip.example\\.gouv.fr/tpa", False),
        ("//payfip.example/tpa", False),
        ("", False),
    ],
)
def test_the_real_service_is_followed_within_the_states_zone(target: str, expected: bool) -> None:
    assert follows(PAYFIP, target) is expected


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
    with Client(url) as client, pytest.raises(UnavailableError):
        client.regie("006382")


def test_a_read_is_asked_again_once_when_the_line_breaks() -> None:
    with line(hang_up, say(ok(Operation.CLIENT, numcli="006382"))) as (server, client):
        assert client.regie("006382").numcli == "006382"
        assert len(server.asked) == 2


def test_a_creation_never_is() -> None:
    with line(hang_up, say(ok(Operation.CREATE, idOp=ID_OP))) as (server, client):
        with pytest.raises(UnavailableError):
            client.create(CREATION)
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    "content",
    [
        http(b"<html>Bad Gateway</html>", "502 Bad Gateway"),
        http(b"<html>Oops</html>", "500 Internal Server Error"),
        http(b"", "200 OK"),
        http(b"<S:Envelope", "200 OK"),
        http(b"", "302 Found\r\nLocation: https://elsewhere.example/"),
        http(b"<html>Forbidden by the firewall</html>", "403 Forbidden"),
        http(b" " * (MAX_ANSWER_BYTES + 1)),
        ok(Operation.CREATE),
        ok(Operation.CREATE, idOp="x"),
        ok(Operation.CREATE, idOp="a b?c&d=e/../f"),
        ok(Operation.CREATE, idOp="x" * 5000),
        b"HTTP/1.1 nonsense\r\n\r\n",
    ],
)
def test_nonsense_is_unavailability_not_a_crash(content: bytes) -> None:
    with line(say(content)) as (_server, client), pytest.raises(UnavailableError):
        client.create(CREATION)


def test_the_breaker_opens_after_failures_and_asks_no_more() -> None:
    now = [0.0]
    breaker = Breaker(threshold=3, rest=10, clock=lambda: now[0])
    good = say(ok(Operation.CLIENT, numcli="006382"))
    broken = say(http(b"", "503 Service Unavailable"))
    made = Line([broken, broken, broken, good])
    client = Client(made.url, connect_timeout=20, read_timeout=20, breaker=breaker)
    try:
        for _round in range(3):
            with pytest.raises(UnavailableError):
                client.regie("006382")
        with pytest.raises(CircuitOpenError) as caught:
            client.regie("006382")
        assert caught.value.after is not None
        assert 0 < caught.value.after.total_seconds() <= 10
        assert len(made.asked) == 3
        now[0] = 10.5
        assert client.regie("006382").numcli == "006382"
    finally:
        client.close()
        made.server.shutdown(socket.SHUT_RDWR)
        made.server.close()
        made.thread.join(PATIENCE_SECONDS)


def test_a_refusal_is_an_answer_and_does_not_open_the_breaker(payfip, client: Client) -> None:
    for _round in range(8):
        with pytest.raises(PayFiPFaultError):
            client.payment(ID_OP)
    assert client.regie("006382").numcli == "006382"


def test_technical_faults_do(payfip, client: Client) -> None:
    payfip.fault("unavailable", count=5)
    for _round in range(5):
        with pytest.raises(PayFiPFaultError):
            client.payment(ID_OP)
    with pytest.raises(CircuitOpenError):
        client.payment(ID_OP)


def test_clients_are_shared_in_a_process_and_not_with_its_children() -> None:
    clients = Clients()

    def one() -> Client:
        return clients.get("http://127.0.0.1:1/", connect_timeout=1, read_timeout=1)

    first = one()
    assert one() is first
    clients.forget()
    second = one()
    assert second is not first
    clients.close()
    first.close()


class TestBreaker:
    def make(self) -> tuple[Breaker, list[float]]:
        now = [100.0]
        return Breaker(threshold=2, rest=10, longest=25, clock=lambda: now[0]), now

    def test_one_probe_at_a_time(self) -> None:
        breaker, now = self.make()
        breaker.failed()
        assert breaker.enter() == 0
        breaker.failed()
        assert breaker.enter() == 10
        now[0] += 10
        assert breaker.enter() == 0
        assert breaker.enter() == 10

    def test_the_rest_doubles_up_to_its_limit_and_is_forgotten(self) -> None:
        breaker, now = self.make()
        breaker.failed()
        breaker.failed()
        for expected in (20, 25, 25):
            now[0] += 30
            assert breaker.enter() == 0
            breaker.failed()
            assert breaker.enter() == expected
        now[0] += 30
        assert breaker.enter() == 0
        breaker.succeeded()
        assert breaker.enter() == 0
        breaker.failed()
        breaker.failed()
        assert breaker.enter() == 10

    def test_successes_between_failures_keep_it_closed(self) -> None:
        breaker, _now = self.make()
        for _round in range(10):
            breaker.failed()
            breaker.succeeded()
        assert breaker.enter() == 0

    def test_of_many_threads_one_probes(self) -> None:
        breaker, now = self.make()
        breaker.failed()
        breaker.failed()
        now[0] += 10
        passed: list[float] = []
        start = threading.Barrier(16)

        def run() -> None:
            start.wait()
            if breaker.enter() == 0:
                passed.append(1)

        threads = [threading.Thread(target=run) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(passed) == 1
