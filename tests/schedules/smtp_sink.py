"""A slow SMTP server in a process of its own: writes one line to its log for each mail before it answers.

Usage: python -m tests.schedules.smtp_sink LOG SECONDS_A_MAIL. Prints its port.
"""

import asyncio
import email
import email.policy
import sys
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP


class Sink:
    def __init__(self, log: Path, seconds: float) -> None:
        self.log, self.seconds = log, seconds

    async def handle_EHLO(
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        """A mail may be announced with the end of the one before."""
        session.host_name = hostname
        return ["250-PIPELINING", *responses]

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        with self.log.open("a") as log:
            log.write(f"{envelope.rcpt_tos[0]} {message['Message-ID']}\n")
        await asyncio.sleep(self.seconds)
        return "250 OK"


async def main(log: Path, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Sink(log, seconds), hostname="sink", loop=loop), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2])))
