"""The server as a scanner meets it: raw bytes on a socket, and what comes back."""

import socket
import time
from urllib.parse import urlsplit

import pytest

from config.serving import Hasty
from tests.journeys.conftest import server, site  # noqa: F401
from tests.journeys.site import web_server

pytestmark = pytest.mark.slow
LONG = "x" * 9000


def ask(address, raw):
    """The first line and all of the answer to these bytes; the connection may be closed on us."""
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as line:
        line.sendall(raw.encode("latin-1"))
        line.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := line.recv(65536):
            answer += piece
    return answer.decode("latin-1")


def request(path="/healthz", *headers, method="GET", host="127.0.0.1", body=""):
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers, "", body])


def status(answer):
    return int(answer.split(" ", 2)[1]) if answer else 0


def refuses_what_is_too_long_or_says_two_lengths_and_lives(address):
    refused = {
        "a long address": request("/" + LONG),
        "a long header": request("/healthz", f"X: {LONG}"),
        "many headers": request("/healthz", *[f"X-{n}: 1" for n in range(200)]),
        "two lengths": request("/", "Content-Length: 4", "Content-Length: 40", method="POST", body="a=1&"),
        "length and chunks": request(
            "/", "Content-Length: 4", "Transfer-Encoding: chunked", method="POST", body="0\r\n\r\n"
        ),
        "strange chunks": request("/", "Transfer-Encoding: xchunked", method="POST", body="0\r\n\r\n"),
        "a space in a name": request("/healthz", "X : 1"),
        "no protocol": "GET /healthz\r\n\r\n",
        "nonsense": "\x16\x03\x01\x00\xa5" * 20 + "\r\n\r\n",
        "a strange method": request(method="GE\x01T"),
    }
    for what, raw in refused.items():
        answer = ask(address, raw)
        assert 400 <= status(answer) < 600 or not answer, f"{what}: {answer[:200]}"
        assert "Traceback" not in answer and "/work" not in answer, what
    assert status(ask(address, request())) == 200


def gives_a_foreign_host_a_trace_and_a_path_out_of_the_tree_nothing(address):
    foreign = ask(address, request("/account/login/", host="evil.example"))
    assert status(foreign) == 400 and "evil.example" not in foreign
    trace = ask(address, request("/account/login/", "X-Secret: 4711", method="TRACE"))
    assert "4711" not in trace
    for path in (
        "/static/../config/settings.py",
        "/static/%2e%2e/%2e%2e/manage.py",
        "/static/hipwatch/",
        "/.env",
        "/.git/HEAD",
    ):
        answer = ask(address, request(path))
        assert status(answer) in {400, 404} and "SECRET" not in answer, path


def refuses_an_upload_beyond_the_limit_before_it_is_sent(address):
    answer = ask(
        address, request("/import/", "Content-Length: 9000000000", "Content-Type: text/plain", method="POST", body="x")
    )
    assert status(answer) == 413


def does_not_say_what_it_is(address):
    answer = ask(address, request("/account/login/"))
    head = answer.split("\r\n\r\n")[0].lower()
    assert status(answer) == 200 and "django" not in head and "python" not in head
    assert "gunicorn/" not in head, "no version"


def test_the_server_gives_a_scanner_nothing(site):  # noqa: F811
    """One server for all of it: starting it takes longer than asking."""
    refuses_what_is_too_long_or_says_two_lengths_and_lives(site)
    gives_a_foreign_host_a_trace_and_a_path_out_of_the_tree_nothing(site)
    refuses_an_upload_beyond_the_limit_before_it_is_sent(site)
    does_not_say_what_it_is(site)


# Those who take their time


TRICKLES = 24  # more than the server has threads


@pytest.fixture
def hurried(environment_of_processes, committed_database, tmp_path):
    with web_server({**environment_of_processes, "RECEIVE_SECONDS": "2"}, tmp_path) as address:
        yield address


def trickle(address, head):
    parts = urlsplit(address)
    line = socket.create_connection((parts.hostname, parts.port), timeout=30)
    line.sendall(head.encode())
    return line


@pytest.mark.parametrize("head", ["GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ", "POST /account/login/"])
def test_slow_senders_do_not_keep_everybody_else_out(hurried, head):
    """Two seconds are allowed here. Without a bound none of the threads would come back."""
    if head.startswith("POST"):
        form = "Content-Type: application/x-www-form-urlencoded", "Content-Length: 5000"
        head = request("/account/login/", *form, method="POST", body="login=")
    lines = [trickle(hurried, head) for _n in range(TRICKLES)]
    ends = time.monotonic() + 8
    while time.monotonic() < ends:
        for line in lines:
            try:
                line.sendall(b"x")
            except OSError:
                continue
        time.sleep(0.2)
    assert status(ask(hurried, request())) == 200
    for line in lines:
        line.close()


def test_a_line_has_its_time_and_more_for_what_arrives():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        line = Hasty(ours, seconds=0.2, slowest=1000)
        theirs.sendall(b"x" * 500)
        assert len(line.recv(4096)) == 500
        began = time.monotonic()
        with pytest.raises(ConnectionResetError):
            line.recv(1)
        assert 0.4 < time.monotonic() - began < 3 and ours.gettimeout() is None


def test_a_shorter_time_that_the_server_has_set_holds():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0.05)
        with pytest.raises(TimeoutError):
            Hasty(ours, seconds=5).recv(1)
