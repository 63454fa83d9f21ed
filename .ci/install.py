"""`make install`: puts one requirements file, with its hashes, into the environment of the Python that runs this.

uv takes seconds where pip takes a minute, so uv is fetched first. It reads none of pip's configuration and is told
where pip would look. Whatever goes wrong with uv, pip then does the same work with the same hashes.
"""

import ast
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
STRICT = ("--require-hashes", "--only-binary=:all:")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
UV_NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
}
# pip takes a package from whichever index has the pinned version; the hashes make that safe.
UV_MANNERS = {"UV_LINK_MODE": "copy", "UV_HTTP_TIMEOUT": "120", "UV_INDEX_STRATEGY": "unsafe-best-match"}


def succeeds(*command: str, environment: dict[str, str] | None = None) -> bool:
    return subprocess.run(command, check=False, env=environment, cwd=PROJECT).returncode == 0  # noqa: S603


def pip_configuration() -> dict[str, str]:
    """pip's options from its files and its environment; the environment wins, as it does in pip."""
    listed = subprocess.run((*PIP, "config", "list"), check=False, capture_output=True, text=True).stdout  # noqa: S603
    found = [re.match(r"(global|install|:env:)\.([\w-]+)=(.*)", line) for line in listed.splitlines()]
    ordered = sorted((match for match in found if match), key=lambda match: match[1] == ":env:")
    return {match[2]: str(ast.literal_eval(match[3])) for match in ordered}


def uv_environment() -> dict[str, str]:
    """What uv needs to look where pip would. What is set for uv itself is left alone."""
    told = {UV_NAMES[name]: value for name, value in pip_configuration().items() if name in UV_NAMES}
    return UV_MANNERS | told | dict(os.environ)


def has_uv() -> bool:
    """Is uv here, fetched now if need be, in the version and with the hashes of the lock?"""
    if subprocess.run((sys.executable, "-m", "uv", "--version"), check=False, capture_output=True).returncode == 0:
        return True
    lock = (PROJECT / "requirements-dev.txt").read_text()
    pinned = re.search(r"^uv==.*?(?=^\S)", lock, re.MULTILINE | re.DOTALL)
    if pinned is None:
        return False
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(pinned[0])
        file.flush()
        return succeeds(*PIP, "install", "-qq", *STRICT, "-r", file.name)


def main(requirements: str) -> int:
    if sys.version_info[:2] != (3, 11):
        sys.stderr.write(f"{sys.executable} is not Python 3.11. Remove .venv and name one: make PYTHON=... install\n")
        return 1
    sys.stderr.write(f"Installing {requirements} ...\n")
    target = ("--python", sys.executable, *STRICT, "-r", requirements)
    uv = (sys.executable, "-m", "uv", "pip", "install", "--quiet", "--compile-bytecode")
    if has_uv() and succeeds(*uv, *target, environment=uv_environment()):
        return 0
    sys.stderr.write("uv could not install; pip does, which takes about a minute.\n")
    return 0 if succeeds(*PIP, "install", "-qq", *STRICT, "-r", requirements) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
