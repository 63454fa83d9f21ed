"""An SMTP server that costs little: it speaks the dialogue, keeps each mail's Message-ID and recipient, and times them.

Usage: python benchmarks/mailing/sink.py. Prints its port; then, for each line it reads, one line of JSON of what has
arrived: `count` tells how many, `take` hands everything over and begins anew.
It does as little as it can, so that the clients are what is measured.
"""

import asyncio
import json
import re
import sys
import time

MESSAGE_ID = re.compile(rb"^message-id:\s*(<[^>\r\n]+>)", re.IGNORECASE | re.MULTILINE)
END = b"\r\n.\r\n"
GREETING = b"250-sink\r\n250-PIPELINING\r\n250-SIZE 20000000\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"


class Log:
    """What arrived since it was last taken; times are of the monotonic clock, which all processes share."""

    def __init__(self) -> None:
        self.arrived: list[tuple[str, str]] = []
        self.connections = 0
        self.first_at = self.last_at = 0.0

    def keep(self, message: bytes, recipients: list[str]) -> None:
        self.last_at = time.monotonic()
        self.first_at = self.first_at or self.last_at
        header = message[: message.find(b"\r\n\r\n")]
        found = MESSAGE_ID.search(header)
        self.arrived += [(found[1].decode() if found else "", recipient) for recipient in recipients]

    def take(self) -> dict[str, object]:
        times = {"connections": self.connections, "first_at": self.first_at, "last_at": self.last_at}
        arrived = self.arrived
        self.arrived, self.connections, self.first_at, self.last_at = [], 0, 0.0, 0.0
        return {"arrived": arrived, **times}


class Session(asyncio.Protocol):
    """One client. Commands come as lines, a mail ends with a dot alone on its line."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.buffer = bytearray()
        self.in_data = False
        self.recipients: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.log.connections += 1
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        seen = max(0, len(self.buffer) - len(END))
        self.buffer += data
        while True:
            mark = END if self.in_data else b"\r\n"
            end = self.buffer.find(mark, seen)
            if end < 0:
                return
            piece = bytes(self.buffer[:end])
            del self.buffer[: end + len(mark)]
            seen = 0
            if self.in_data:
                self.in_data = False
                self.log.keep(piece, self.recipients)
                self.recipients = []
                self.transport.write(b"250 kept\r\n")
            else:
                self.command(piece)

    def command(self, line: bytes) -> None:
        match line[:4].upper():
            case b"EHLO":
                self.transport.write(GREETING)
            case b"RCPT":
                self.recipients.append(line[line.find(b"<") + 1 : line.rfind(b">")].decode())
                self.transport.write(b"250 ok\r\n")
            case b"DATA":
                self.in_data = True
                self.transport.write(b"354 go on\r\n")
            case b"QUIT":
                self.transport.write(b"221 bye\r\n")
                self.transport.close()
            case b"MAIL" | b"RSET" | b"NOOP" | b"HELO":
                self.recipients = []
                self.transport.write(b"250 ok\r\n")
            case _:
                self.transport.write(b"500 what?\r\n")


async def main() -> None:
    log, loop = Log(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: Session(log), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    questions = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin)
    while question := await questions.readline():
        answer = log.take() if question.strip() == b"take" else {"count": len(log.arrived)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
