"""A mail server that misbehaves by seed: its log, written before it answers, is the only judge of what arrived.

Usage: python -m tests.chaos.sink LOG PORT SEED TROUBLE. One line an event: `kept RCPT MESSAGE-ID WHAT`, or
`refused RCPT`. TROUBLE scales how often it misbehaves; 0: never, but for addresses that it does not know.
"""

import asyncio
import random
import sys
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP

from tests.schedules.smtp_sink import Sink

UNKNOWN = 0.01  # of addresses; the others are in per mille of mails
LATER_AT_MAIL, LATER_AFTER_DOT, HANG_UP_BEFORE, HANG_UP_AFTER, SILENT_AT_RCPT, SILENT_AFTER = 10, 5, 3, 2, 1, 2
LONGER_THAN_EMAIL_TIMEOUT = 3.0


def is_unknown(seed: str, address: str) -> bool:
    return random.Random(f"{seed}:{address}").random() < UNKNOWN


class Misbehaving(Sink):
    def __init__(self, log: Path, seed: str, trouble: float) -> None:
        super().__init__(log, 0.0)
        self.seed, self.trouble = seed, trouble
        self.rng = random.Random(f"{seed}:{log.stat().st_size if log.exists() else 0}")

    def befalls(self, per_mille: float) -> bool:
        return self.rng.random() < self.trouble * per_mille / 1000

    def write(self, *words: str) -> None:
        with self.log.open("a") as log:
            log.write(" ".join(words) + "\n")

    async def handle_EHLO(
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        """Two of three connections may send the next mail's sender and recipient with the end of the one before."""
        session.host_name = hostname
        return ["250-PIPELINING", *responses] if self.rng.random() < 2 / 3 else responses

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if self.befalls(LATER_AT_MAIL):
            return "451 4.3.0 Try again later"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if self.befalls(SILENT_AT_RCPT):
            await asyncio.sleep(LONGER_THAN_EMAIL_TIMEOUT)
        if is_unknown(self.seed, address):
            self.write("refused", address)
            return "550 5.1.1 No such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.befalls(LATER_AFTER_DOT):
            return "451 4.3.0 Try again later"
        if self.befalls(HANG_UP_BEFORE):
            server.transport.abort()
            self.write("dropped", envelope.rcpt_tos[0])
            return "421 gone"
        ambiguous = self.befalls(HANG_UP_AFTER)
        self.keep(envelope, "ambiguous" if ambiguous else "plain")
        if ambiguous:
            server.transport.abort()
            return "421 gone"
        if self.befalls(SILENT_AFTER):
            await asyncio.sleep(LONGER_THAN_EMAIL_TIMEOUT)
        return "250 OK"

    def keep(self, envelope: Any, what: str) -> None:
        head = envelope.content.partition(b"\r\n\r\n")[0].decode("ascii", "replace").replace("\r\n ", " ")
        found = next(
            line.split(":", 1)[1].strip() for line in head.split("\r\n") if line.lower().startswith("message-id:")
        )
        self.write("kept", envelope.rcpt_tos[0], found, what)


async def main(log: Path, port: int, seed: str, trouble: float) -> None:
    loop = asyncio.get_running_loop()
    sink = Misbehaving(log, seed, trouble)
    server = await loop.create_server(lambda: SMTP(sink, hostname="sink", loop=loop), "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], float(sys.argv[4])))
