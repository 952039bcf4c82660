"""The files that a closure reads: by name, by a pattern, one by one in a folder, or perhaps.

Strategy: a file counts that is certain to be read. One that a script finds by looking into its folder may be any file
of it, so a README or a log among them does not count; nor does one that is read only under a condition on its name
which is not known, nor any that the script has in hand while it opens files by names that cannot be followed. These
are kept apart, with the place, for nobody can tell without running the script.
"""

from __future__ import annotations

import posixpath
from dataclasses import replace

from .call_names import MOVES
from .closure_records import ClosureFile, CodeClosure, Role, place_of
from .found_files import WILD, matching_files
from .references import Kind, Reference
from .script_paths import ScriptPaths
from .side_files import Purpose, is_document, side_purpose

FOLLOWS_NOT = {Kind.COMPUTED, Kind.COMPUTED_FILE, Kind.UNREADABLE}
SHORT_TEXT, TEXT_BYTES = 4096, 1 << 20
LETTERS_A_SPACE = 40  # of anything that is written for people; packed text in lines of 76 has more
TAKE_FOLDERS = set("pip tar cp mv ln zip 7z rsync find shutil.copytree shutil.make_archive".split()) | MOVES
NEVER_COUNTED = {Purpose.CODE_AS_TEXT, Purpose.TOKENIZER, Purpose.DATA}
OF_THE_SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/", "/usr/", "/tmp/", "/var/")
MOST_NAMED = 500  # files of the folder whose names are looked for
ONLY_MEASURES = {"os.path.getsize", "os.stat"}


class FileReadings:
    """Adds what is read to `result`, and what may be read to its `possible`."""

    def __init__(self, paths: ScriptPaths, result: CodeClosure) -> None:
        self.paths, self.room, self.result = paths, paths.room, result
        self.looked_at: dict[str, str] = {}  # files in folders that a script looks into, and where it does

    def follow(self, reference: Reference, script: str, place: str) -> None:
        """A file that is read; a pattern or a folder stands for all files that it means."""
        path = self.paths.local(reference.name, script, reference.assumed)
        if path is not None:
            self._add(path, reference, place)
        elif self._is_outside(reference, script):
            self.result.outside.setdefault(reference.name, place)
        elif set(reference.name) & set(WILD):
            found = matching_files(lambda folder: self.paths.below(folder, script), reference.name)
            for each in found if isinstance(found, list) else ():  # of one that is only assumed nobody knows which
                self._add_all(each, replace(reference, possible=reference.assumed), script, place)
        elif reference.name and "\0" not in reference.name:
            self._add_all(reference.name, reference, script, place)

    def _is_outside(self, reference: Reference, script: str) -> bool:
        """Whether a path that is known leads out of the submission to what is neither data nor of the system."""
        if reference.assumed or "\0" in reference.name or reference.via in ONLY_MEASURES:
            return False
        purpose = side_purpose(posixpath.basename(reference.name), reference.via)
        folder = posixpath.dirname(next(iter(self.result.files), ""))
        path = self.paths.from_script(reference.name, script)
        leads_out = not path.startswith(f"{folder}/") and path != folder and "." in posixpath.basename(path)
        return leads_out and purpose not in NEVER_COUNTED and not path.startswith(OF_THE_SYSTEM)

    def _add_all(self, name: str, reference: Reference, script: str, place: str) -> None:
        """A file, or all files of a folder for those who take folders; of the whole submission they may be any."""
        path = self.paths.from_script(name, script)
        inside = self.paths.below(name, script) if reference.via in TAKE_FOLDERS else []
        is_all = path == posixpath.dirname(script)
        for file in [path] if self.room.is_file(path) else [f"{path}/{file}" for file in inside]:
            self._add(file, replace(reference, listed=True, possible=reference.possible or is_all), place)

    def _add(self, path: str, reference: Reference, place: str) -> None:
        path = self.room.own(path)
        purpose = side_purpose(posixpath.basename(path), reference.via)
        measured = reference.via in ONLY_MEASURES
        purpose = Purpose.MEASURED if measured and purpose is Purpose.OTHER else purpose
        file = ClosureFile(path, self.room.size(path), Role.READ, place, reference.assumed, purpose)
        known = self.result.files.get(path)
        if reference.possible or (reference.listed and self._is_document(path)):
            if not measured:
                self.result.possible.setdefault(path, file)
        elif known is None or known.purpose is Purpose.MEASURED:
            self.result.files[path] = file

    def look(self, reference: Reference, script: str, place: str) -> None:
        """Files of a folder that a script looks into."""
        for name in reference.files:
            path = self.paths.from_script(name, script)
            if self.room.is_file(path):
                self.looked_at.setdefault(self.room.own(path), place)

    def finish(self) -> None:
        """Files that were looked at may be read where the script opens what is not known; those that count are told."""
        opens = any(reference.kind in FOLLOWS_NOT for _, reference in self.result.named)
        for path, place in self.looked_at.items() if opens else ():
            purpose = side_purpose(posixpath.basename(path), "")
            if purpose not in NEVER_COUNTED and not self._is_document(path):
                self.result.possible.setdefault(
                    path, ClosureFile(path, self.room.size(path), Role.READ, place, False, purpose)
                )
        self._named()
        for name in [name for name in self.result.outside if posixpath.basename(name) in self.result.written]:
            del self.result.outside[name]
        for path in [path for path in self.result.possible if self._is_told(path)]:
            del self.result.possible[path]

    def _named(self) -> None:
        """Files whose names stand in a source, whoever opens them: an option's default, a reader that is not known."""
        folder = posixpath.dirname(next(iter(self.result.files), ""))
        texts = [(path.removeprefix(f"{folder}/"), source.text) for path, source in self.result.sources.items()]
        texts += [(payload.label, payload.text) for payload in self.result.payloads]
        below = [f"{folder}/{name}" for name in self.room.files_below(folder)]
        for path in [path for path in below if path not in self.result.files and _may_count(path)][:MOST_NAMED]:
            name = posixpath.basename(path)
            for label, text in texts if "." in name.strip(".") else ():
                if (place := text.find(name)) >= 0 and _is_quoted(text, place, len(name)):
                    where = place_of(label, text.count("\n", 0, place) + 1)
                    file = ClosureFile(path, self.room.size(path), Role.READ, where, False, side_purpose(name, ""))
                    self.result.possible.setdefault(path, file)

    def _is_document(self, path: str) -> bool:
        """Whether a file is there for people: by its name, and unless it is short by the spaces of written text."""
        if not is_document(path):
            return False
        text = (self.paths.bytes_of(path) or b"")[:TEXT_BYTES]
        return len(text) < SHORT_TEXT or sum(map(text.count, (b" ", b"\t", b"\n"))) * LETTERS_A_SPACE > len(text)

    def _is_told(self, path: str) -> bool:
        known = self.result.files.get(path)
        written = posixpath.basename(path) in self.result.written
        return written or (known is not None and known.purpose is not Purpose.MEASURED)


def _may_count(path: str) -> bool:
    return not is_document(path) and side_purpose(posixpath.basename(path), "") not in NEVER_COUNTED


def _is_quoted(text: str, place: int, length: int) -> bool:
    """Whether a name stands alone or at the end of a path in a string literal, not within other words."""
    before, after = text[max(place - 1, 0) : place], text[place + length : place + length + 1]
    return before in ("'", '"', "/") and after in ("'", '"')
