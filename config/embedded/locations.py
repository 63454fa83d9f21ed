"""Where the local services live: every address follows from DATA_DIR, and none of it starts anything.

Unix sockets may have at most 107 bytes in their path, while DATA_DIR may be any path. So the sockets stand in a
short private folder whose name is derived from DATA_DIR: two checkouts never meet, one checkout always finds its own.
"""

import contextlib
import functools
import hashlib
import hmac
import json
import os
import secrets
import stat
import tempfile
from pathlib import Path
from urllib.parse import quote, urlencode

PROJECT = Path(__file__).resolve().parents[2]
DATABASE = "hipwatch"
OWNER, APP, ADMIN = "hipwatch_owner", "hipwatch_app", "postgres"
POSTGRES_PORT = 5432  # part of the socket's name only: nothing listens on the network
DEFAULT_SMTP_PORT, DEFAULT_MAILBOX_PORT = 1025, 8025


class UnsafeFolder(RuntimeError):
    """A folder that must be ours alone belongs to somebody else or is open to others."""


def data_dir() -> Path:
    """The folder that holds everything this installation keeps; relative paths count from the project."""
    return Path(os.path.abspath(PROJECT / os.path.expanduser(os.environ.get("DATA_DIR") or "var")))


def ensure_data_dir(data: Path) -> Path:
    """Create DATA_DIR, private. As root others may pass through it: PostgreSQL refuses to run as root."""
    data.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        data.mkdir()
        data.chmod(0o711 if os.getuid() == 0 else 0o700)
    return data


def socket_dir(data: Path | None = None) -> Path:
    """The short folder for the sockets of this DATA_DIR and this user; it may not exist yet."""
    name = hashlib.sha1(os.fsencode(data or data_dir()), usedforsecurity=False).hexdigest()[:10]
    return Path("/tmp") / f"hipwatch-{os.getuid()}-{name}"  # noqa: S108  # ownership is checked on creation


def ensure_private(folder: Path, *, mode: int = 0o700, owner: int | None = None) -> Path:
    """Make sure `folder` is a real folder with exactly this owner and mode. Raises UnsafeFolder if it is not ours."""
    wanted = os.getuid() if owner is None else owner
    try:
        folder.mkdir(mode=0o700)
        if wanted != os.getuid():
            os.chown(folder, wanted, -1)
    except FileExistsError:
        pass
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != wanted:
        raise UnsafeFolder(
            f"{folder} exists but does not belong to user {wanted}. Remove it or choose another DATA_DIR."
        )
    if stat.S_IMODE(found.st_mode) != mode:
        folder.chmod(mode)
    return folder


def ensure_socket_dir(data: Path) -> Path:
    """Create the folder for the sockets, or raise UnsafeFolder when somebody else has taken its name."""
    return ensure_private(socket_dir(data), mode=0o711 if os.getuid() == 0 else 0o700)


def postgres_socket_dir(data: Path | None = None) -> Path:
    return socket_dir(data) / "postgres"


def valkey_socket(data: Path | None = None) -> Path:
    return socket_dir(data) / "valkey" / "valkey.sock"


@functools.cache
def _master_secret(data: Path) -> bytes:
    """The one random secret of this DATA_DIR, made on first use.

    Where DATA_DIR can be neither written nor read, a secret of this process alone must do: commands that need no
    database still work, and no local server can be reached anyway.
    """
    try:
        return _kept_secret(data)
    except PermissionError:
        return secrets.token_bytes(32)


def _kept_secret(data: Path) -> bytes:
    path = data / "secrets.json"
    if not path.exists():
        ensure_data_dir(data)
        handle, draft = tempfile.mkstemp(dir=data, prefix=".secrets-")
        with os.fdopen(handle, "w") as file:
            json.dump(
                {"about": "All passwords and keys of this folder derive from it.", "master": secrets.token_hex(32)},
                file,
            )
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)  # unlike rename it never replaces: the first of several processes wins
        os.unlink(draft)
    return bytes.fromhex(json.loads(path.read_text())["master"])


def secret(name: str, data: Path | None = None) -> str:
    """A password or key for `name`, the same for as long as DATA_DIR/secrets.json is kept."""
    return hmac.new(_master_secret(data or data_dir()), name.encode(), hashlib.sha256).hexdigest()


def secret_key() -> str:
    """Django's SECRET_KEY for development."""
    return secret("django")


def _database_url(role: str, data: Path | None, database: str) -> str:
    where = urlencode({"host": str(postgres_socket_dir(data)), "port": POSTGRES_PORT})
    return f"postgresql://{role}:{quote(secret(role, data))}@/{quote(database)}?{where}"


def database_url(data: Path | None = None, database: str = DATABASE) -> str:
    """For the application: a role that owns nothing and bypasses nothing."""
    return _database_url(APP, data, database)


def owner_database_url(data: Path | None = None, database: str = DATABASE) -> str:
    """For migrations only: the role that owns the tables."""
    return _database_url(OWNER, data, database)


def admin_database_url(data: Path | None = None, database: str = "postgres") -> str:
    """The superuser: makes roles, extensions and test databases, and nothing else."""
    return _database_url(ADMIN, data, database)


def redis_url(data: Path | None = None, number: int = 0) -> str:
    """For redis-py and Django's cache."""
    return f"unix://{valkey_socket(data)}?db={number}"


def broker_url(data: Path | None = None, number: int = 0) -> str:
    """For Celery, whose transport has a name of its own for sockets."""
    return f"redis+socket://{valkey_socket(data)}?virtual_host={number}"


def mailbox_dir(data: Path | None = None) -> Path:
    return (data or data_dir()) / "mailbox"


def mailbox_ports(data: Path | None = None) -> tuple[int, int]:
    """SMTP port and page port of the mailbox as last started, otherwise where it would try first."""
    try:
        kept = json.loads((mailbox_dir(data) / "address.json").read_text())
        return int(kept["smtp"]), int(kept["page"])
    except (OSError, ValueError, KeyError):
        return DEFAULT_SMTP_PORT, DEFAULT_MAILBOX_PORT


def mailbox_smtp(data: Path | None = None) -> str:
    """EMAIL_URL of the local mailbox."""
    return f"smtp://127.0.0.1:{mailbox_ports(data)[0]}"


def mailbox_page(data: Path | None = None) -> str:
    return f"http://127.0.0.1:{mailbox_ports(data)[1]}/"
