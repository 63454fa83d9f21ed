"""The system under fire: its real processes, started again when they die, and the ways to hurt them."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psycopg
import redis as valkey_client

from config.embedded import locations, postgres, processes, redis
from tests.conftest import PROJECT

WORKERS = ("mail1", "mail2", "mail1", "mail2", "sweep", "skewed")  # whom killing finds, some more often
CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'hipwatch_app' AND random() < 0.5"
FULL = Path("/dev/full")  # every write to it fails: no space left on device


@dataclass
class System:
    """`killed`: mail processes killed. `faults`: when which fault began and ended, in seconds of monotonic time."""

    data: Path
    environment: dict[str, str]
    rng: Random
    together: int
    sink_log: Path
    trouble: float
    smtp_port: int = 0
    web_port: int = 0
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    commands: dict[str, list[str]] = field(default_factory=dict)
    faults: list[tuple[str, float, float]] = field(default_factory=list)
    killed: int = 0
    full: bool = False  # whether the disk may be filled
    counts: Counter[str] = field(default_factory=Counter)

    # ---- Starting

    def start_sink(self) -> None:
        command = [sys.executable, "-m", "tests.chaos.sink", os.fspath(self.sink_log), str(self.smtp_port)]
        command += [self.environment["CHAOS_SEED"], str(self.trouble)]
        process = subprocess.Popen(
            command, cwd=PROJECT, stdout=subprocess.PIPE, preexec_fn=processes.leash(signal.SIGKILL)
        )
        assert process.stdout
        self.smtp_port = int(process.stdout.readline())
        self.running["sink"] = process

    def start(self) -> None:
        """The mail server first, whose port the others are told; then everything."""
        self.start_sink()
        self.environment["EMAIL_URL"] = f"smtp://127.0.0.1:{self.smtp_port}"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.web_port = free.getsockname()[1]
        celery = [sys.executable, "-m", "celery", "--quiet", "-A", "config"]
        worker = [*celery, "worker", "--concurrency", "2", "--without-gossip", "--without-mingle", "--loglevel", "INFO"]
        gunicorn = [sys.executable, "-m", "gunicorn", "--config", "python:config.serving", "config.wsgi:application"]
        self.commands = {
            "web": [*gunicorn, "--bind", f"127.0.0.1:{self.web_port}", "--workers", "2", "--log-level", "warning"],
            "mail1": [*worker, "--queues", "mail", "--hostname", "mail1@%h"],
            "mail2": [*worker, "--queues", "mail", "--hostname", "mail2@%h"],
            "sweep": [*worker, "--queues", "sweep", "--hostname", "sweep@%h"],
            "skewed": self.loop("3600"),
        }
        for name in ("beat1", "beat2"):  # there must be one; a second does no harm
            schedule = os.fspath(self.data / name)
            self.commands[name] = [*celery, "beat", "--schedule", schedule, "--pidfile", "", "--loglevel", "WARNING"]
        for name in self.commands:
            self.launch(name)

    def loop(self, skew: str, *what: str) -> list[str]:
        """A worker without a broker, on a machine whose clock is so many seconds ahead."""
        return [sys.executable, "-m", "tests.chaos.skewed", skew, str(self.together), *what]

    def launch(self, name: str) -> None:
        log = FULL if name == "mail2" else self.data / f"{name}.log"
        with log.open("ab") as output:
            self.running[name] = subprocess.Popen(
                self.commands[name], cwd=PROJECT, env=self.environment, stdout=output, stderr=output,
                start_new_session=True, preexec_fn=processes.leash(signal.SIGKILL),
            )  # fmt: skip

    def keep_processes_up(self) -> None:
        for name in self.commands:
            if self.running[name].poll() is not None:
                self.end_group(name)
                self.launch(name)
        if self.running["sink"].poll() is not None:
            self.start_sink()

    def keep_up(self) -> None:
        """Whoever has died is started again, as a service manager does."""
        self.keep_processes_up()
        if redis.server_pid(self.data) is None:
            redis.start(self.data, leashed=True)
        if postgres.server_pid(postgres.locate(self.data)) is None:
            postgres.start(self.data, leashed=True)

    def end(self) -> None:
        """SIGTERM to all, as at a deployment; who does not end in its time is counted, then killed."""
        for name in self.commands:
            with contextlib.suppress(ProcessLookupError):
                self.running[name].send_signal(signal.SIGTERM)
        for name in self.commands:
            try:
                self.running[name].wait(40)
            except subprocess.TimeoutExpired:
                self.counts["did not end within 40 s of SIGTERM"] += 1
            self.end_group(name)

    def end_sink(self) -> None:
        self.running["sink"].kill()
        self.running["sink"].wait()

    def end_group(self, name: str) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.running[name].pid, signal.SIGKILL)
        self.running[name].wait()

    # ---- Hurting

    @contextlib.contextmanager
    def fault(self, kind: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.counts[kind] += 1
            self.faults.append((kind, began, time.monotonic()))

    def kill_worker(self) -> None:
        """A child in seven cases of ten, else a whole worker with its children."""
        name = self.rng.choice([one for one in WORKERS if one in self.commands])
        pid = self.running[name].pid
        children = _children(pid)
        if children and self.rng.random() < 0.7:
            with self.fault("child of a worker killed"), contextlib.suppress(ProcessLookupError):
                os.kill(self.rng.choice(children), signal.SIGKILL)
                self.killed += name != "sweep"
            return
        with self.fault("worker killed"):
            self.killed += max(1, len(children)) if name != "sweep" else 0
            self.end_group(name)

    def kill_beat(self) -> None:
        with self.fault("beat killed"):
            self.end_group(self.rng.choice(("beat1", "beat2")))

    def kill_web(self) -> None:
        with self.fault("web process killed"), contextlib.suppress(ProcessLookupError):
            if children := _children(self.running["web"].pid):
                os.kill(self.rng.choice(children), signal.SIGKILL)

    def crash_postgres(self) -> None:
        """An immediate stop, as after a power cut, and a recovery from the log."""
        with self.fault("PostgreSQL crashed"):
            cluster = postgres.locate(self.data)
            if (pid := postgres.server_pid(cluster)) is not None:
                os.kill(pid, signal.SIGQUIT)
                processes.wait_until(lambda: postgres.server_pid(cluster) is None, seconds=20)
            time.sleep(self.rng.uniform(0, 1))
            postgres.start(self.data, leashed=True)

    def cut_connections(self) -> None:
        admin = locations.admin_database_url(self.data)
        with self.fault("connections cut"), contextlib.suppress(psycopg.Error), psycopg.connect(admin) as connection:
            connection.execute(CUT)

    def flush_valkey(self) -> None:
        with self.fault("Valkey flushed"), contextlib.suppress(valkey_client.RedisError):
            valkey_client.Redis(unix_socket_path=os.fspath(locations.valkey_socket(self.data))).flushall()

    def lose_messages(self) -> None:
        """Of what waits in the queues, one message is lost and another is there twice."""
        with self.fault("messages lost and doubled"), contextlib.suppress(valkey_client.RedisError):
            broker = valkey_client.Redis(unix_socket_path=os.fspath(locations.valkey_socket(self.data)))
            for queue in ("mail", "sweep"):
                broker.rpop(queue)
                if message := broker.lindex(queue, -1):
                    broker.lpush(queue, message)

    def fill_disk(self) -> None:
        """Nobody can write any more: not the database its log, not Valkey, not those who write logs."""
        with self.fault("disk full"):
            filler = self.data / "filler"
            with contextlib.suppress(OSError), filler.open("wb") as output:
                while True:
                    output.write(bytes(1 << 20))
            time.sleep(self.rng.uniform(1, 3))
            filler.unlink()

    def kill_valkey(self, away: float = 0.0) -> None:
        with self.fault("Valkey killed" if not away else "Valkey away"):
            if (pid := redis.server_pid(self.data)) is not None:
                os.kill(pid, signal.SIGKILL)
                processes.wait_until(lambda: redis.server_pid(self.data) is None, seconds=5)
            time.sleep(away)
            redis.start(self.data, leashed=True)

    def stop_mail_server(self) -> None:
        """Nobody listens for some seconds."""
        with self.fault("mail server away"):
            self.end_sink()
            time.sleep(self.rng.uniform(1, 3))
            self.start_sink()

    def freeze_mail_server(self) -> None:
        """It listens and says nothing for longer than our patience, then goes on."""
        with self.fault("mail server silent"):
            self.running["sink"].send_signal(signal.SIGSTOP)
            time.sleep(self.rng.uniform(2, 4))
            self.running["sink"].send_signal(signal.SIGCONT)

    def turn_clock(self) -> None:
        """The worker with the wrong clock jumps: an hour on, an hour back, or to the right time."""
        with self.fault("clock jumped"):
            self.commands["skewed"] = self.loop(self.rng.choice(("3600", "-3600", "0")))
            self.killed += 1
            self.end_group("skewed")

    def deploy(self) -> None:
        with self.fault("everything ended by SIGTERM"):
            self.end()
            for name in self.commands:
                self.launch(name)

    def schedule(self) -> list[tuple[float, Callable[[], None]]]:
        """Each kind of fault with the mean pause between two of it, in seconds."""
        return [
            (2.0, self.kill_worker),
            (7.0, self.lose_messages),
            (9.0, self.flush_valkey),
            (14.0, self.cut_connections),
            (15.0, self.stop_mail_server),
            (17.0, self.freeze_mail_server),
            (20.0, self.kill_beat),
            (20.0, self.kill_valkey),
            (23.0, self.turn_clock),
            (25.0, self.crash_postgres),
            (26.0, self.kill_web),
            (40.0, lambda: self.kill_valkey(away=8.0)),
            (60.0, self.deploy),
            *[(30.0, self.fill_disk)] * self.full,
        ]


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
