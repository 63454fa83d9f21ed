"""Supply chain: what we are made of, under which licences, with which known faults, and whether a secret slipped in.

python .ci/supply_chain.py licences   # fails on what may not run here; --write renews docs/licences.md
python .ci/supply_chain.py sbom       # CycloneDX 1.6 of what runs in production, as JSON on standard output
python .ci/supply_chain.py advisories # known faults of the locked packages; fails if it could audit none
python .ci/supply_chain.py bandit     # findings that no line gives a reason for
python .ci/supply_chain.py semgrep    # our own rules in .ci/semgrep, each of which must find its example first
python .ci/supply_chain.py secrets    # keys and passwords in files that git knows
"""

import json
import math
import os
import re
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
LOCK, LICENCES = PROJECT / "requirements.txt", PROJECT / "docs" / "licences.md"
RULES, SEMGREP_LOCK = PROJECT / ".ci" / "semgrep" / "rules.yml", PROJECT / ".ci" / "semgrep" / "requirements.txt"
INSTALL, SEMGREP = PROJECT / ".ci" / "install.py", PROJECT / ".venv" / "semgrep" / "bin" / "semgrep"
OURS = ("config", "monitoring", "patients", "schedules")
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?:\s*;\s*([^\\\n]+?))?\s*\\?$", re.MULTILINE)
HASHED = re.compile(r"--hash=sha256:([0-9a-f]{64})")

# ---- Licences

# What names a licence in a package's metadata, the strictest first. Weak copyleft may be used, not changed in secret.
KINDS = (
    ("AGPL", r"\bAGPL|Affero"),
    ("LGPL", r"\bLGPL|Lesser General"),
    ("GPL", r"\bGPL|GNU General Public"),
    ("MPL", r"\bMPL|Mozilla"),
    ("Apache", r"Apache"),
    ("BSD", r"\bBSD\b|0BSD"),
    ("MIT", r"\bMIT\b|Expat"),
    ("ISC", r"\bISC\b"),
    ("PSF", r"\bPSF|Python Software Foundation"),
    ("Unlicense", r"Unlicense"),
)
MAY_RUN = {"LGPL", "MPL", "Apache", "BSD", "MIT", "ISC", "PSF", "Unlicense"}
READ_BY_HAND: dict[str, str] = {}  # package: kind, where the metadata are silent and the licence file was read


def locked() -> dict[str, str]:
    """Package to version, of what runs in production; what another platform alone would need is left out."""
    return {name.lower(): version for name, version, _marker in PINNED.findall(LOCK.read_text())}


def installed(names: dict[str, str]) -> dict[str, metadata.PackageMetadata]:
    """The metadata of those that are installed here."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def kinds_of(package: metadata.PackageMetadata) -> set[str]:
    """Every kind of licence that the package says it is under; where it gives a choice with OR, the mildest."""
    expression = package.get("License-Expression") or ""
    classifiers = [line for line in package.get_all("Classifier") or [] if line.startswith("License ::")]
    said = expression or " ".join(classifiers) or (package.get("License") or "").split("\n")[0]
    options = [{kind for kind, pattern in KINDS if re.search(pattern, part)} for part in said.split(" OR ")]
    options = [
        option - ({"GPL"} if "LGPL" in option and not re.search(r"(?<!L)GPL-", said) else set()) for option in options
    ]
    allowed = [option for option in options if option and option <= MAY_RUN]
    return allowed[0] if allowed else set().union(*options)


def licences(write: bool) -> int:
    names = locked()
    packages = installed(names)
    rows, wrong = [], []
    for name in sorted(packages):
        kinds = {READ_BY_HAND[name]} if name in READ_BY_HAND else kinds_of(packages[name])
        rows.append(f"| {name} | {names[name]} | {', '.join(sorted(kinds)) or 'not said'} |")
        if not kinds or kinds - MAY_RUN:
            wrong.append(f"{name}: {', '.join(sorted(kinds)) or 'its licence is not said'}")
    counts = Counter(row.rsplit("| ", 1)[1].rstrip(" |") for row in rows)
    summary = ", ".join(f"{kind} {count}" for kind, count in counts.most_common())
    absent = sorted(set(names) - set(packages))
    text = (
        "# Licences\n\nWhat runs in production, by `make licences`. Nothing is under GPL or AGPL; `make audit` fails if"
        f" something would.\n\n{len(rows)} packages: {summary}.\n\n| package | version | licence |\n|---|---|---|\n"
        + "\n".join(rows)
        + f"\n\nLocked for other platforms and not looked at here: {', '.join(absent) or 'none'}.\n"
    )
    if write:
        LICENCES.write_text(text)
    elif not LICENCES.exists() or LICENCES.read_text() != text:
        wrong.append("docs/licences.md is not of this lock; run `make licences`")
    print("\n".join([*wrong, f"{len(rows)} packages: {summary}"]))
    return 1 if wrong else 0


# ---- Bill of materials


def sbom() -> int:
    """Component by component: name, version, package URL, licence as said, and the hashes that the lock allows."""
    text, names = LOCK.read_text(), locked()
    packages = installed(names)
    starts = [(match.start(), match[1].lower()) for match in PINNED.finditer(text)]
    ends = [start for start, _name in starts[1:]] + [len(text)]
    hashes = {name: HASHED.findall(text[start:end]) for (start, name), end in zip(starts, ends, strict=True)}
    components = [
        _component(name, version, packages.get(name), hashes[name]) for name, version in sorted(names.items())
    ]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, text)}",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "name": "hipwatch", "version": _own_version(), "bom-ref": "hipwatch"}
        },
        "components": components,
        "dependencies": [{"ref": "hipwatch", "dependsOn": [one["bom-ref"] for one in components]}],
    }
    print(json.dumps(document, indent=1))
    return 0


def _component(
    name: str, version: str, package: metadata.PackageMetadata | None, hashes: list[str]
) -> dict[str, object]:
    url = f"pkg:pypi/{name}@{version}"
    files = [
        {
            "type": "distribution",
            "url": f"https://pypi.org/project/{name}/{version}/",
            "hashes": [{"alg": "SHA-256", "content": one}],
        }
        for one in hashes
    ]
    one: dict[str, object] = {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url}
    if package is not None and (kinds := kinds_of(package)):
        one["licenses"] = [{"license": {"name": kind}} for kind in sorted(kinds)]
    return one | ({"externalReferences": files} if files else {})


def _own_version() -> str:
    found = re.search(r'^version = "([^"]+)"', (PROJECT / "pyproject.toml").read_text(), re.MULTILINE)
    return found[1] if found else "0"


# ---- Known faults


def advisories() -> int:
    """pip-audit with what it leaves out by itself: it also ends well when it could look nothing up."""
    audited = skipped = 0
    wrong = []
    for lock in ("requirements.txt", "requirements-dev.txt"):
        command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "-r", lock, "-f", "json"]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)  # noqa: S603
        if not done.stdout.strip():
            print(f"The advisories could not be had:\n{done.stderr[-800:]}")
            return 1
        for package in json.loads(done.stdout)["dependencies"]:
            skipped += "skip_reason" in package
            audited += "skip_reason" not in package
            wrong += [f"{lock}: {package['name']}: {fault['id']}" for fault in package.get("vulns", [])]
    print("\n".join([*wrong, f"{audited} packages audited, {skipped} not, {len(wrong)} known faults"]))
    if not audited:
        print("Nothing was audited: these packages' advisories cannot be had here. This says nothing of their safety.")
    return 1 if wrong or not audited else 0


# ---- Faults of our own


SAME_RULE = {"B703": "S308"}  # two names of bandit for one of ruff


def bandit() -> int:
    """Bandit's findings from medium severity on, without those that the line says to be none (`noqa: S608`)."""
    command = [sys.executable, "-m", "bandit", "-q", "-r", *OURS, "-ll", "-f", "json", "-x", "*/migrations/*"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)  # noqa: S603
    found = json.loads(done.stdout)["results"]
    left = [one for one in found if not _has_reason(one)]
    for one in left:
        print(f"{one['filename']}:{one['line_number']}: {one['test_id']} {one['issue_text']}")
    print(f"bandit: {len(found)} findings, {len(left)} without a reason in their lines")
    return 1 if left else 0


def _has_reason(finding: dict[str, object]) -> bool:
    lines = (PROJECT / str(finding["filename"])).read_text().splitlines()
    numbers = [int(number) for number in finding["line_range"]]  # type: ignore[attr-defined]
    wanted = SAME_RULE.get(str(finding["test_id"]), "S" + str(finding["test_id"])[1:])
    near = lines[min(numbers) - 1 : max(numbers) + 1]
    return any(f"noqa: {wanted}" in line or re.search(rf"noqa:[^#]*\b{wanted}\b", line) for line in near)


def semgrep() -> int:
    """Semgrep with the rules of `.ci/semgrep`, which also say what they must find. Nothing is fetched but the tool.

    It has an environment of its own beside ours: it pins packages that ours has in other versions.
    """
    if not SEMGREP.exists():
        make = (sys.executable, "-m", "venv", os.fspath(SEMGREP.parents[1]))
        fill = (os.fspath(SEMGREP.with_name("python")), os.fspath(INSTALL), os.fspath(SEMGREP_LOCK))
        for step in (make, fill):
            subprocess.run(step, cwd=PROJECT, check=True)  # noqa: S603
    quiet = ("--metrics", "off", "--disable-version-check")
    tried = subprocess.run([SEMGREP, "--test", *quiet[:2], RULES.parent], cwd=PROJECT, capture_output=True, text=True)  # noqa: S603
    print(next((line for line in tried.stdout.splitlines() if "passed" in line or "failed" in line), tried.stderr))
    scan = [SEMGREP, "scan", "--quiet", "--error", *quiet, "--config", RULES, *OURS]
    found = subprocess.run(scan, cwd=PROJECT).returncode  # noqa: S603
    print("semgrep: findings, see above" if found else "semgrep: nothing found")
    return 1 if found or tried.returncode else 0


# ---- Secrets

SECRET = (
    ("a private key", re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY")),
    ("a key of AWS", re.compile(r"\bAKIA[0-9A-Z]{16}\b")),
    ("a token of GitHub", re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36}\b")),
    ("a token of Slack", re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}")),
    ("a token of ours", re.compile(r"\bhw_[A-Za-z0-9_-]{43}_[0-9a-f]{8}\b")),
    ("a webhook's secret", re.compile(r"\bwhsec_[A-Za-z0-9+/]{40,}")),
    ("a JSON web token", re.compile(r"\beyJ[A-Za-z0-9_-]{15,}\.eyJ[A-Za-z0-9_-]{15,}\.")),
    (
        "a password in an address",
        re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s:/@'\"{}$<>*%]+:([^\s:/@'\"{}$<>*%]{6,})@[\w.-]+"),
    ),
)
ASSIGNED = re.compile(r"""(?i)(?:secret|passw(?:or)?d|token|api_?key)["']?\s*[:=]\s*["']([A-Za-z0-9+/_=-]{24,})["']""")
PLACEHOLDER = re.compile(r"(?i)password|passwort|secret|example|only-for|correct|another|USER|x{8}|0123456789|key-")
SKIPPED = (".lock", ".mo", ".png", ".svg", ".txt", ".eml", ".xlsx", ".pdf", ".woff2")
BITS_OF_CHANCE = 3.6  # a letter of random base64 holds more, one of words less


def secrets() -> int:
    found = list(_secrets())
    print("\n".join([*found, f"{len(found)} secrets in files that git knows"]))
    return 1 if found else 0


def _secrets() -> Iterator[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, check=True).stdout  # noqa: S607
    for name in filter(None, listed.decode().split("\0")):
        path = PROJECT / name
        if not path.is_file() or name.endswith(SKIPPED) or "/locale/" in name:
            continue
        for number, line in enumerate(path.read_text(errors="ignore").splitlines(), start=1):
            if what := secret_in(line):
                yield f"{name}:{number}: {what}"


def secret_in(line: str) -> str:
    """What kind of secret the line holds; empty for none. `not a secret` in the line says that it is for show."""
    if "not a secret" in line or len(line) > 4000:
        return ""
    for what, pattern in SECRET:
        if (hit := pattern.search(line)) and not PLACEHOLDER.search(hit[0]):
            return what
    assigned = ASSIGNED.search(line)
    if assigned and not PLACEHOLDER.search(assigned[1]) and _bits(assigned[1]) > BITS_OF_CHANCE:
        return "what looks like a secret"
    return ""


def _bits(text: str) -> float:
    """Shannon's entropy of a letter."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


COMMANDS = {"sbom": sbom, "advisories": advisories, "bandit": bandit, "semgrep": semgrep, "secrets": secrets}

if __name__ == "__main__":
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command == "licences":
        sys.exit(licences("--write" in sys.argv))
    sys.exit(COMMANDS[command]() if command in COMMANDS else __doc__)
