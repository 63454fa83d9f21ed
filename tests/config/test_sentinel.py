"""Redis behind sentinels: the address is read, and cache and broker follow when another server takes the lead."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from celery import Celery
from django.core.cache.backends.redis import RedisCache
from kombu.exceptions import OperationalError

from config import sentinel
from config.embedded.redis import _server
from tests.schedules.conftest import wait_for

OPTIONS = {"socket_connect_timeout": 1, "socket_timeout": 1, "pool_class": sentinel.SentinelPool}


def test_an_address_names_sentinels_master_and_database():
    watched = sentinel.read("sentinel://:s3cret@one:26379,two/2?master=hipwatch")
    assert watched.sentinels == (("one", 26379), ("two", 26379))
    assert (watched.master, watched.database, watched.password) == ("hipwatch", 2, "s3cret")
    assert watched.broker == "sentinel://:s3cret@one:26379/2;sentinel://:s3cret@two:26379/2"


@pytest.mark.parametrize("url", ["sentinel://one:26379/0", "sentinel:///0?master=x"])
def test_an_address_that_leaves_something_out_is_refused(url):
    with pytest.raises(ValueError, match="REDIS_URL"):
        sentinel.read(url)


def a_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A server that leads, one that follows, and three sentinels; yields their address and the one that leads."""
    leads, follows, ports = a_port(), a_port(), [a_port() for _ in range(3)]
    started = [
        _start(tmp_path, leads, "--save", ""),
        _start(tmp_path, follows, "--save", "", "--replicaof", f"127.0.0.1 {leads}"),
    ]
    for port in ports:
        file = tmp_path / f"sentinel-{port}.conf"
        file.write_text(
            f"port {port}\nsentinel monitor hipwatch 127.0.0.1 {leads} 2\n"
            "sentinel down-after-milliseconds hipwatch 500\nsentinel failover-timeout hipwatch 3000\n"
        )
        started.append(_start(tmp_path, port, os.fspath(file), "--sentinel"))
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    assert wait_for(lambda: all(_knows_all(port) for port in ports), 30)
    yield f"sentinel://{hosts}/0?master=hipwatch", started[0]
    for process in started:
        process.kill()
        process.wait()


def _start(folder: Path, port: int, *words: str) -> "subprocess.Popen[bytes]":
    first = [words[0]] if words[0].endswith(".conf") else ["--port", str(port)]
    rest = words[1:] if words[0].endswith(".conf") else words
    return subprocess.Popen([_server(), *first, *rest], cwd=folder, stdout=subprocess.DEVNULL)


def _knows_all(port: int) -> bool:
    try:
        with redis.Redis(port=port, socket_timeout=1) as client:
            told = client.sentinel_master("hipwatch")
        return bool(told["num-other-sentinels"] == 2 and told["num-slaves"] == 1)
    except redis.RedisError:
        return False


@pytest.mark.slow
def test_cache_and_broker_follow_whoever_leads(watched):
    url, leading = watched
    cache = RedisCache([url], {"OPTIONS": OPTIONS})

    def both_work() -> bool:
        try:
            cache.set("key", "value", 60)
            with Celery(broker=sentinel.read(url).broker, set_as_current=False) as app:
                app.conf.broker_transport_options = {"master_name": "hipwatch"}
                app.send_task("schedules.tasks.deliver_due", retry=False)
            return bool(cache.get("key") == "value")
        except (redis.RedisError, OperationalError):
            return False

    assert both_work()
    leading.kill()
    assert wait_for(both_work, 30), "another one leads"
