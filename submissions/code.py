"""The code of a submission: what the main script needs, what hides in it, and how many bytes that is.

Strategy: `files.code.closure` follows the main script through the folder; what it found becomes facts (the
files that count, with their bytes as shipped and packed by us) and findings, one a kind of thing and place.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..files.code.closure import code_closure
from ..files.code.closure_records import ClosureFile, CodeClosure, Role
from ..files.code.known_modules import required_modules
from ..files.code.references import Kind
from ..files.code.side_files import Purpose
from .code_findings import closure_findings
from .code_packing import PackedCode, pack_closure
from .findings import Finding
from .folder import SubmissionFolder
from .folder_room import ROOT, FolderRoom, name_in_folder
from .read_models import count_models_once
from .shipped_code import ShippedCode, main_script

READ_AS_DATA = {Purpose.TOKENIZER, Purpose.DATA, Purpose.MODEL}


@dataclass(frozen=True, slots=True)
class CodeFile:
    """A file that the main script needs: `role` and `place` say how it comes in, `purpose` why it does not count."""

    name: str
    bytes: int
    role: str
    place: str
    assumed: bool
    counts: bool
    purpose: str


@dataclass(frozen=True, slots=True)
class CodePayload:
    """Source text inside a source: bytes unpacked, what it was packed with, how many payloads it stands in."""

    place: str
    bytes: int
    packing: str
    layer: int
    parsed: bool


@dataclass(frozen=True, slots=True)
class CodeFacts:
    """What the code section found.

    main : str              name of the main script, "" without one
    files : tuple           all that it needs, the script first, those that do not count included
    payloads : tuple        source texts inside of these
    python_bytes : int      all Python files of the folder together
    needs_python : str      the version whose syntax the code has, "" where the judging Python reads it
    missing : tuple         modules that are not in the folder and of no known package
    programs : tuple        programs outside Python that it starts
    packed : PackedCode     the counted files packed by us, minified and not
    shipped : ShippedCode   the same for the section of claims
    """

    main: str
    files: tuple[CodeFile, ...]
    payloads: tuple[CodePayload, ...]
    python_bytes: int
    needs_python: str
    missing: tuple[str, ...]
    programs: tuple[str, ...]
    packed: PackedCode
    shipped: ShippedCode


def judge_code(folder: SubmissionFolder) -> tuple[CodeFacts, list[Finding]]:
    """Follow the main script of a folder; nothing runs."""
    main = main_script(folder)
    room = FolderRoom(folder)
    closure = code_closure(room, [f"{ROOT}/{main.name}"] if main else [], sorted(_required(folder)))
    count_models_once(folder, closure)
    packed = pack_closure(room, closure)
    python = [file for file in folder.files if file.suffix == ".py" and file.kind == "file"]
    texts = [(file.name, folder.read_text(file.name).text) for file in python]
    texts += [(item.label, item.text) for item in closure.payloads]
    shipped = ShippedCode(
        main.name if main else "",
        main.bytes if main else 0,
        closure.code_bytes,
        tuple(name_in_folder(file.path) for file in closure.counted[1:]),
        packed.minified_bytes,
        tuple(texts),
        tuple((name_in_folder(file.path), file.place) for file in closure.uncounted if file.purpose in READ_AS_DATA),
        tuple((name_in_folder(file.path), file.bytes) for file in closure.possible.values()),
        tuple(name_in_folder(file.path) for file in closure.counted if file.role is Role.READ),
    )
    facts = _facts(closure, shipped, packed, sum(file.bytes for file in python))
    return facts, closure_findings(folder, shipped.script, closure, packed)


def _facts(closure: CodeClosure, shipped: ShippedCode, packed: PackedCode, python_bytes: int) -> CodeFacts:
    versions = [syntax.version for _, syntax in closure.newer]
    programs = [reference.name for _, reference in closure.named if reference.kind is Kind.PROGRAM]
    return CodeFacts(
        shipped.script,
        tuple(_code_file(file) for file in closure.files.values()),
        tuple(
            CodePayload(item.place, len(item.text), item.packing, item.layer, item.parsed) for item in closure.payloads
        ),
        python_bytes,
        ".".join(map(str, max(versions))) if versions else "",
        tuple(missing.name for missing in closure.missing),
        tuple(dict.fromkeys(programs)),
        packed,
        shipped,
    )


def _code_file(file: ClosureFile) -> CodeFile:
    purpose = file.purpose.value if file.purpose else ""
    name = name_in_folder(file.path)
    return CodeFile(name, file.bytes, file.role.value, file.place, file.assumed, file.counts, purpose)


def _required(folder: SubmissionFolder) -> set[str]:
    """Import names that the folder's own lists of requirements may bring."""
    names: set[str] = set()
    for file in folder.files:
        last = file.name.rsplit("/", 1)[-1].lower()
        if last.startswith("requirements") and last.endswith(".txt"):
            names |= required_modules(folder.read_text(file.name).text)
        elif last.endswith(".sh"):
            for line in folder.read_text(file.name).text.splitlines():
                if "pip" in line and " install " in line:
                    names |= required_modules("\n".join(line.partition(" install ")[2].split()))
    return names
