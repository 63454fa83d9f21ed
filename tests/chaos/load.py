"""Load: a clinic's other systems and staff go on writing while everything breaks, and keep a ledger of their own.

Each write has a key of its own and is repeated until it is answered, as a careful client does. What was acknowledged
must be there afterwards, once.
"""

import contextlib
import hashlib
import itertools
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import requests

LETTERS = str.maketrans("0123456789abcdef", "bcdfghklmnprstvw")
PATIENCE = 60.0  # seconds for which one write is repeated


def number_in(key: str) -> int:
    return int(key.rpartition("-")[2])


@dataclass(frozen=True)
class Entry:
    """An acknowledged write. `number`: of the row where the answer names it. `request`: its id in the audit."""

    kind: str
    key: str
    number: int
    request: str


@dataclass
class Ledger:
    """What the clients know: acknowledged writes, and answers that were errors of the server's, with when."""

    entries: list[Entry] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    errors: list[tuple[float, str]] = field(default_factory=list)
    tries: Counter[str] = field(default_factory=Counter)


class Load:
    """Threads that write until they are told to stop."""

    def __init__(self, address: str, token: str, cookies: dict[str, str], patients: list[int], seed: str) -> None:
        self.address, self.token, self.cookies, self.patients, self.seed = address, token, cookies, patients, seed
        self.ledger, self.over = Ledger(), threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(turn,), daemon=True) for turn in range(3)]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def stop(self) -> Ledger:
        self.over.set()
        for thread in self.threads:
            thread.join(PATIENCE + 30)
        return self.ledger

    def _run(self, turn: int) -> None:
        session = requests.Session()
        for number in itertools.count():
            if self.over.is_set():
                return
            key = f"{self.seed}-{turn}-{number}"
            with contextlib.suppress(Exception):  # the client's own trouble; what it was acknowledged stands already
                (self._enrol, self._record, self._telephone)[(turn + number) % 3](session, key)
            self.over.wait(0.15)

    def _enrol(self, session: requests.Session, key: str) -> None:
        name = hashlib.sha256(key.encode()).hexdigest().translate(LETTERS)  # nobody is alike: no likely duplicates
        person = {"record_number": f"C-{key}", "family_name": name[:12].title(), "given_name": name[20:30].title()}
        person["enrolled_on"] = "2026-01-10"
        if answer := self._send(session, "enrol", key, "/api/v1/patients/", person):
            self._note("enrol", key, answer.json()["id"], answer)

    def _record(self, session: requests.Session, key: str) -> None:
        patient = self.patients[(len(key) * 7 + number_in(key)) % len(self.patients)]
        values = {"source": "patient", "symptomatic": True, "pain_nrs": 3, "pain_site": key}
        fact = {"kind": "symptom", "side": "left", "on": "2026-03-03", "values": values}
        if answer := self._send(
            session, "record", key, f"/api/v1/patients/{patient}/facts/", {"on": "2026-03-03", "facts": [fact]}
        ):
            self._note("record", key, 0, answer)

    def _telephone(self, session: requests.Session, key: str) -> None:
        """A member of staff, on the page: no key protects the form, so it is sent once and only then believed."""
        patient = self.patients[(len(key) * 7 + number_in(key)) % len(self.patients)]
        form = {"outcome": "no_answer", "note": key, "csrfmiddlewaretoken": self.cookies["csrftoken"]}
        self.ledger.tries["telephone"] += 1
        try:
            answer = session.post(
                f"{self.address}/worklist/{patient}/outcome/", data=form, cookies=self.cookies, timeout=20,
                headers={"Referer": self.address}, allow_redirects=False,
            )  # fmt: skip
        except requests.RequestException:
            return
        if answer.status_code == 302 and "login" not in answer.headers["Location"]:
            self._note("telephone", key, 0, answer)
        else:
            self._error("telephone", answer)

    def _send(self, session: requests.Session, kind: str, key: str, path: str, body: dict[str, Any]) -> Any:
        """The answer that acknowledged the write; None when it was given up."""
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": key}
        limit = time.monotonic() + PATIENCE
        while time.monotonic() < limit:
            self.ledger.tries[kind] += 1
            try:
                answer = session.post(self.address + path, json=body, headers=headers, timeout=20)
            except requests.RequestException:
                time.sleep(0.5)
                continue
            if answer.ok:
                return answer
            self._error(kind, answer)
            if answer.status_code < 500:
                break
            time.sleep(0.5)
        self.ledger.given_up.append(f"{kind} {key}")
        return None

    def _error(self, kind: str, answer: requests.Response) -> None:
        said = re.sub(r"\s+", " ", answer.text[:300])
        self.ledger.errors.append((time.monotonic(), f"{kind} {answer.status_code} {said}"))

    def _note(self, kind: str, key: str, number: int, answer: requests.Response) -> None:
        self.ledger.entries.append(Entry(kind, key, number, answer.headers.get("X-Request-Id", "")))
