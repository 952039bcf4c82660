"""Write the lock files and the table of licences: `python requirements/make_locks.py`, with uv on the path.

Strategy: people edit `constraints.txt`. Here uv resolves it for every platform and Python that bytecap runs on and adds
the digests of all files of each version, as the package index lists them; nothing is downloaded but metadata. Torch
stands apart, because it comes in two builds: that of the package index, which on Linux needs gigabytes of CUDA, and a
smaller one for the CPU that some indexes give, and that `make` takes where it finds it.
Licences are those that the installed packages declare; of a package that is not installed, what stood there before.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
CONSTRAINTS, LICENCES = ROOT / "constraints.txt", FOLDER / "licences.json"
PYTHON = "3.11"  # the oldest
OPTIONS = ("--universal", "--generate-hashes", "--no-header", "--no-annotate", "--python-version", PYTHON)
CUDA = re.compile(r"cuda-|nvidia-|triton")
TORCH = re.compile(r"torch==")
# The CPU builds of torch that are known, which the package index does not list: for Python 3.11 on x86-64 Linux.
CPU_BUILDS = {"2.13.0+cpu": ("6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b",)}
HEAD = "# Made of constraints.txt by requirements/make_locks.py: {what}.\n"
WHAT = {
    "dev": "what `make` installs, but for torch",
    "torch-cpu": "the smaller build of torch, where an index has it",
    "torch": "torch as the package index has it, and what its CUDA builds need",
    "peers": "what `make test-peers` installs",
    "llama-cpp": "what `make test-llama-cpp` builds",
}
LONGEST_DECLARATION = 60  # of a licence; longer ones are its text


def main() -> None:
    """Write every file of this folder that is made."""
    dev, torch = locked(["pyproject.toml", "--extra", "dev", "--extra", "plot"])
    peers, _ = locked(["pyproject.toml", "--extra", "peers", "--extra", "plot"])
    (FOLDER / "dev.txt").write_text(lock_text("dev", dev))
    (FOLDER / "torch.txt").write_text(lock_text("torch", torch))
    (FOLDER / "torch-cpu.txt").write_text(lock_text("torch-cpu", map(cpu_build, CPU_BUILDS)))
    (FOLDER / "peers.txt").write_text(lock_text("peers", [entry for entry in peers if entry not in dev]))
    names = {"llama-cpp-python", "diskcache"}
    pins = "\n".join(f"{name}=={version}" for name, version in pinned().items() if name in names)
    (FOLDER / "llama-cpp.txt").write_text(lock_text("llama-cpp", locked(["-", "--no-deps"], pins)[0]))
    known = json.loads(LICENCES.read_text()) if LICENCES.exists() else {}
    found = {name: declared_licence(name, version) or known.get(name, "") for name, version in pinned().items()}
    LICENCES.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")
    missing = [name for name, licence in found.items() if not licence]
    if missing:
        sys.exit(f"install these once, or write their licences into {LICENCES}: {', '.join(missing)}")


def locked(wanted: Sequence[str], given: str = "") -> tuple[list[str], list[str]]:
    """The requirements of uv's answer with their digests, and apart from them torch and those of CUDA."""
    uv = shutil.which("uv") or sys.exit("uv is not there; install it with: pip install uv")
    command = [uv, "pip", "compile", *OPTIONS, "-c", str(CONSTRAINTS), *wanted]
    done = subprocess.run(command, input=given, stdout=subprocess.PIPE, text=True, cwd=ROOT, check=True)
    entries = re.split(r"\n(?=\S)", done.stdout.strip())
    apart = [entry for entry in entries if TORCH.match(entry) or CUDA.match(entry)]
    return [entry for entry in entries if entry not in apart], apart


def cpu_build(version: str) -> str:
    """The requirement of one of CPU_BUILDS."""
    return " \\\n".join([f"torch=={version}", *(f"    --hash=sha256:{digest}" for digest in CPU_BUILDS[version])])


def lock_text(name: str, entries: Iterable[str]) -> str:
    """A lock file."""
    return HEAD.format(what=WHAT[name]) + "".join(f"{entry}\n" for entry in entries)


def pinned() -> dict[str, str]:
    """The versions of `constraints.txt` by normalized name."""
    pins = [line.split("==") for line in CONSTRAINTS.read_text().splitlines() if line and not line.startswith("#")]
    return {normalized(name): version for name, version in pins}


def normalized(name: str) -> str:
    """A package's name as indexes spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared_licence(name: str, version: str) -> str:
    """What an installed package of this version declares of its licence; empty where it is not installed."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return ""
    return _declared(found) if found.version.split("+")[0] == version else ""


def _declared(found: Distribution) -> str:
    """The licence expression, else the older field if it is one line, else the classifiers, else its first line."""
    expression, text = found.metadata.get("License-Expression"), (found.metadata.get("License") or "").strip()
    if expression or (text and "\n" not in text and len(text) <= LONGEST_DECLARATION):
        return expression or text
    classifiers = found.metadata.get_all("Classifier") or []
    stated = ", ".join(c.split("::")[-1].strip() for c in classifiers if c.startswith("License ::"))
    return stated or text.split("\n")[0]


if __name__ == "__main__":
    main()
