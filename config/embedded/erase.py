"""`make erase`: remove what the local services keep in DATA_DIR, and nothing that is not theirs."""

import shutil
import sys
from pathlib import Path

from config.embedded import locations, postgres, redis

FOLDERS = ("postgres", "mailbox", "log")
FILES = (
    "secrets.json",
    "demo.json",
    "demo-password",
    "postgres-is-elsewhere.txt",
    "run.lock",
    "postgres.lock",
    "valkey.lock",
)
PATTERNS = ("programs-*", "beat-schedule*", ".secrets-*", ".postgres-*", ".password-*", ".programs-*")


def erase(data: Path) -> None:
    """Stop the local servers of `data` and remove their files; other files, and the folder if any are left, stay."""
    if not data.exists():
        return
    postgres.stop(data)
    redis.stop(data)
    home = postgres.locate(data).home if (data / "secrets.json").exists() else data
    for path in [data / name for name in FOLDERS + FILES] + [found for name in PATTERNS for found in data.glob(name)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    if home != data:
        shutil.rmtree(home)
    shutil.rmtree(locations.socket_dir(data), ignore_errors=True)
    if not any(data.iterdir()):
        data.rmdir()


if __name__ == "__main__":
    top = locations.data_dir()
    for folder in (top / "test", top):
        erase(folder)
    sys.stderr.write(f"The local data in {top} have been erased.\n")
