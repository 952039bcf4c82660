"""Findings on the code of a folder: one for each kind of thing that the closure met, with its place."""

from __future__ import annotations

from collections.abc import Iterator

from ..files.code.closure_records import ClosureFile, CodeClosure, MissingModule, Role, is_own_package, place_of
from ..files.code.python_source import UnreadableSource, read_python
from ..files.code.references import Kind
from ..files.code.side_files import Purpose, side_purpose
from ..files.code.unused_text import unused_data_bytes
from ..files.code.validation_training import validation_training
from ..files.listing import listed
from .code_named_findings import SHOWN_NAMES, named_findings, times_told
from .code_packing import PackedCode
from .findings import Finding, Level, Rule
from .folder import SubmissionFolder
from .folder_room import name_in_folder

TRAINS = "backward"  # stands in every script that trains
MAIN_NAME = "train_gpt.py"
CHECKED_BYTES = 1 << 20  # of Python files that the main script does not need, which are only parsed
DATA_SUFFIXES = {
    ".model",
    ".vocab",
    ".tiktoken",
    ".json",
    ".bin",
    ".parquet",
    ".arrow",
    ".npy",
}  # and the name says so
SAID_PURPOSES = {Purpose.TOKENIZER, Purpose.DATA, Purpose.OWN_OUTPUT, Purpose.CODE_AS_TEXT}
ROLE_RULES = {
    Role.IMPORTED: ("code-local-module", "is imported"),
    Role.EXECUTED: ("code-second-file", "is executed as source"),
    Role.STARTED: ("code-started-script", "is started as a process"),
    Role.COMPILED: ("code-native-source", "is compiled at run time"),
    Role.LOADED: ("code-library", "is loaded as a library"),
}
RULES = (
    Rule("code-counted", (Level.PASS,), "The main script and all files that it needs, as shipped and packed by us."),
    Rule("code-script-absent", (Level.WARNING,), "There is no train_gpt.py; another script is judged, or none."),
    Rule("code-script-empty", (Level.FAIL,), "The main script has no statement."),
    Rule(
        "code-not-python",
        (Level.FAIL, Level.FINDING),
        "A source is no Python of any known version; a finding where the main script does not need it.",
    ),
    Rule(
        "code-too-large",
        (Level.WARNING,),
        "A source is too large, too deep or computes too much; it counts and is not followed to its end.",
    ),
    Rule("code-newer-python", (Level.INFORMATION,), "The syntax is of a Python newer than the one that judges."),
    Rule(
        "code-hidden-payload",
        (Level.INFORMATION, Level.FINDING),
        "The script runs source packed inside it, which was unpacked and read; a finding where that needs files.",
    ),
    Rule(
        "code-unused-text",
        (Level.FINDING,),
        "Comments, docstrings or names of a source look like packed data; it is packed by us as it is, not minified.",
    ),
    Rule("code-unread-payload", (Level.FINDING,), "Code is run whose text could not be computed without running it."),
    Rule(
        "code-computed", (Level.FINDING,), "A module, command or file is named by a computed text and not looked for."
    ),
    Rule(
        "code-computed-file",
        (Level.INFORMATION,),
        "Files are opened by computed names and not looked for, as most scripts open their data.",
    ),
    Rule("code-local-module", (Level.FINDING,), "A module of the folder is imported; it counts."),
    Rule("code-second-file", (Level.FINDING,), "A second file is executed as source; it counts."),
    Rule("code-started-script", (Level.FINDING,), "A script of the folder is started as a process; it counts."),
    Rule("code-native-source", (Level.FINDING,), "A C, C++ or CUDA file is compiled at run time; it counts."),
    Rule("code-inline-native", (Level.INFORMATION,), "C++ or CUDA text inside a script is compiled at run time."),
    Rule("code-library", (Level.FINDING,), "A compiled library of the folder is loaded; it counts."),
    Rule(
        "code-missing-module",
        (Level.FAIL, Level.WARNING),
        "A module is neither in the folder nor of Python nor of a known package; a warning where that is caught.",
    ),
    Rule("code-missing-decoder", (Level.FAIL, Level.WARNING), "bytecap is imported, and is not in the folder."),
    Rule("code-missing-file", (Level.WARNING,), "A file that is executed or started is not in the folder."),
    Rule(
        "code-external-program",
        (Level.FINDING, Level.INFORMATION),
        "A program outside Python is started; information for those that only look or measure.",
    ),
    Rule(
        "code-network",
        (Level.FINDING, Level.INFORMATION),
        "Something is downloaded, or sent, at run time; information where only a function does that nothing calls.",
    ),
    Rule(
        "code-validation-data",
        (Level.FINDING,),
        "Training seems to read the validation files; to be looked at by a person, and no accusation.",
    ),
    Rule("code-unpickling", (Level.INFORMATION,), "Files are unpickled without restriction, which runs what they say."),
    Rule("code-side-file", (Level.FINDING,), "A file of the folder that is no code is read by name; it counts."),
    Rule(
        "code-possible-file",
        (Level.FINDING,),
        "Files that may be read, which cannot be told; they do not count, and the total with them is told.",
    ),
    Rule("code-outside-file", (Level.FINDING,), "A file outside of the folder is read that is no data by its name."),
    Rule(
        "code-not-counted",
        (Level.INFORMATION, Level.FINDING),
        "Files that do not count: tokenizers, data, scripts not needed; a finding where a script is read as text.",
    ),
)


def closure_findings(folder: SubmissionFolder, main: str, closure: CodeClosure, packed: PackedCode) -> list[Finding]:
    """All findings of the code section, in the order of a reader's questions."""
    findings = [*_script_findings(main, closure), *_source_findings(folder, closure)]
    if main:
        findings.append(_counted(main, closure, packed))
    findings += _payload_findings(closure)
    findings += _unused_text_findings(closure)
    findings += [_file_finding(file) for file in closure.counted if file.role in ROLE_RULES]
    findings += _missing_findings(closure)
    findings += named_findings(closure)
    findings += _training_findings(closure)
    findings += _side_findings(closure)
    findings += _possible_findings(closure)
    findings += [
        Finding("code-outside-file", Level.FINDING, f"reads {name}, outside of the folder; it is not judged", place)
        for name, place in closure.outside.items()
    ]
    findings += _uncounted_findings(folder, main, closure)
    return findings


def _script_findings(main: str, closure: CodeClosure) -> Iterator[Finding]:
    if main != MAIN_NAME:
        text = f"there is no {MAIN_NAME}; {main} is judged" if main else f"there is no {MAIN_NAME} and no other script"
        yield Finding("code-script-absent", Level.WARNING, text, main)
    source = next(iter(closure.sources.values()), None)
    if main and source is not None and not source.tree.body:
        bytes_ = next(iter(closure.files.values())).bytes
        yield Finding("code-script-empty", Level.FAIL, f"{bytes_:,} bytes without a statement", main, {"bytes": bytes_})


def _source_findings(folder: SubmissionFolder, closure: CodeClosure) -> Iterator[Finding]:
    for item in closure.unread:
        place = f"{item.label}:{item.line}" if item.line else item.label
        if item.not_read or item.reason.startswith("cannot be read"):
            yield Finding("code-too-large", Level.WARNING, f"counted and not followed: {item.reason}", place)
        else:
            yield Finding("code-not-python", Level.FAIL, f"no Python of any known version: {item.reason}", place)
    if closure.newer:
        version = max(syntax.version for _, syntax in closure.newer)
        place, syntax = next(pair for pair in closure.newer if pair[1].version == version)
        text = f"needs Python {version[0]}.{version[1]}: {syntax.name}{times_told(closure.newer)}"
        yield Finding(
            "code-newer-python", Level.INFORMATION, text, place, {"version": version, "places": len(closure.newer)}
        )
    yield from _unneeded_sources(folder, closure)


def _unneeded_sources(folder: SubmissionFolder, closure: CodeClosure) -> Iterator[Finding]:
    """Python files beside the closure are parsed only, as far as time allows."""
    needed = {name_in_folder(path) for path in closure.files}
    left = CHECKED_BYTES
    for file in folder.files:
        left -= file.bytes if file.suffix == ".py" and file.name not in needed and file.kind == "file" else 0
        if file.suffix != ".py" or file.name in needed or file.kind != "file" or left < 0:
            continue
        try:
            read_python(folder.read_bytes(file.name))
        except UnreadableSource as error:
            if not error.not_read:
                place = f"{file.name}:{error.line}" if error.line else file.name
                text = f"no Python of any known version: {error.reason}; the main script does not need it"
                yield Finding("code-not-python", Level.FINDING, text, place)


def _counted(main: str, closure: CodeClosure, packed: PackedCode) -> Finding:
    files = closure.counted
    names = [name_in_folder(file.path) for file in files]
    more = f" and {len(files) - 1} more files" if len(files) > 2 else f" and {names[1]}" if len(files) == 2 else ""
    shipped = closure.code_bytes
    text = f"{main}{more}: {shipped:,} bytes as shipped, {packed.minified_bytes:,} minified and packed by us"
    values = {
        "shipped": shipped,
        "packed": packed.minified_bytes,
        "packed_plain": packed.plain_bytes,
        "packed_script": packed.script_bytes,
        "files": dict(zip(names, (file.bytes for file in files), strict=True)),
    }
    return Finding("code-counted", Level.PASS, text, main, values)


def _payload_findings(closure: CodeClosure) -> Iterator[Finding]:
    for item in closure.payloads:
        if not item.packing:
            continue
        needed = [name_in_folder(file.path) for file in closure.counted if item.label in file.place]
        bytes_ = len(item.text.encode("utf-8", "surrogateescape"))
        text = f"runs {bytes_:,} bytes of source packed with {item.packing}, which were unpacked and read"
        level = Level.INFORMATION
        if needed:
            text, level = f"{text}: it needs {listed(needed, SHOWN_NAMES)}", Level.FINDING
        values = {"bytes": bytes_, "layer": item.layer, "needs": needed}
        yield Finding("code-hidden-payload", level, text, item.place, values)


def _unused_text_findings(closure: CodeClosure) -> Iterator[Finding]:
    for path, source in closure.sources.items():
        if found := unused_data_bytes(source.text):
            text = (
                f"{found:,} bytes of comments, docstrings, names or spaces look like packed data, which whoever opens "
            )
            text += "this source has: it is not minified to be packed by us"
            yield Finding("code-unused-text", Level.FINDING, text, name_in_folder(path), {"bytes": found})


def _training_findings(closure: CodeClosure) -> Iterator[Finding]:
    sources = [(name_in_folder(path), source) for path, source in closure.sources.items()]
    sources += [(item.label, item.source) for item in closure.payloads if item.source is not None]
    for label, source in sources:
        for place in validation_training(source.tree) if TRAINS in source.text else ():
            text = f"{place.what}: look whether they were scored first, since only then may they be trained on"
            yield Finding("code-validation-data", Level.FINDING, text, place_of(label, place.line))


def _file_finding(file: ClosureFile) -> Finding:
    rule, verb = ROLE_RULES[file.role]
    assumed = "; assumed, since only the end of its path is known" if file.assumed else ""
    text = f"{name_in_folder(file.path)}, {file.bytes:,} bytes, {verb} and counts{assumed}"
    return Finding(rule, Level.FINDING, text, file.place, {"file": name_in_folder(file.path), "bytes": file.bytes})


def _missing_findings(closure: CodeClosure) -> Iterator[Finding]:
    for missing in closure.missing:
        yield _missing_finding(missing)
    for place, reference in closure.named:
        if reference.kind in (Kind.EXECUTED_FILE, Kind.STARTED_SCRIPT):
            text = f"{reference.kind.value} {reference.name}, which is not in the folder"
            yield Finding("code-missing-file", Level.WARNING, text, place)


def _missing_finding(missing: MissingModule) -> Finding:
    level = Level.WARNING if missing.optional else Level.FAIL
    if is_own_package(missing):
        text = "imports bytecap: the decoder it needs is not in the folder; `bytecap pack` makes a folder that has it"
        return Finding("code-missing-decoder", level, text, missing.place)
    text = f"imports {missing.name}, which is not in the folder, no part of Python and no package known here"
    return Finding("code-missing-module", level, text, missing.place, {"module": missing.name})


def _side_findings(closure: CodeClosure) -> Iterator[Finding]:
    for file in closure.counted:
        if file.role is Role.READ:
            name = name_in_folder(file.path)
            assumed = "; assumed, since only the end of its path is known" if file.assumed else ""
            text = f"reads {name}, {file.bytes:,} bytes, which the script cannot do without, so it counts{assumed}"
            yield Finding("code-side-file", Level.FINDING, text, file.place, {"file": name, "bytes": file.bytes})


def _possible_findings(closure: CodeClosure) -> Iterator[Finding]:
    """One finding a place where the script looks into its folder, with the files that it may read of it."""
    by_place: dict[str, list[ClosureFile]] = {}
    for file in closure.possible.values():
        by_place.setdefault(file.place, []).append(file)
    for place, files in by_place.items():
        names, bytes_ = [name_in_folder(file.path) for file in files], sum(file.bytes for file in files)
        text = (
            f"may read {listed(names, SHOWN_NAMES)}, {bytes_:,} bytes, which it names or finds here; whether it does "
        )
        text += f"cannot be told: not counted, with them the code has {closure.code_bytes + bytes_:,} bytes"
        yield Finding("code-possible-file", Level.FINDING, text, place, {"files": names, "bytes": bytes_})


def _uncounted_findings(folder: SubmissionFolder, main: str, closure: CodeClosure) -> Iterator[Finding]:
    """One line a purpose: tokenizers, data, and Python files that the main script does not reach."""
    by_purpose: dict[str, dict[str, int]] = {}
    for file in folder.files:
        known = closure.files.get(f"/the submission/{file.name}")
        if file.kind != "file" or (known is not None and known.counts):
            continue
        purpose = None if known is None else known.purpose
        if known is None and file.suffix in DATA_SUFFIXES:
            purpose = side_purpose(file.name, "")
        if purpose is not None and purpose in SAID_PURPOSES:
            words = purpose.value
        elif file.suffix == ".py":
            words = f"not needed by {main}" if main else "no main script needs it"
        else:
            continue
        by_purpose.setdefault(words, {})[file.name] = file.bytes
    for words, files in by_purpose.items():
        text = f"{listed(list(files), SHOWN_NAMES)}: {sum(files.values()):,} bytes not counted ({words})"
        level = Level.FINDING if words == Purpose.CODE_AS_TEXT.value else Level.INFORMATION
        yield Finding("code-not-counted", level, text, next(iter(files)), {"files": files})
