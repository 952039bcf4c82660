"""A submission folder as the place where its code is followed: names inside it, within its limits."""

from __future__ import annotations

import posixpath

from .folder import SubmissionFolder

ROOT = "/the submission"  # a path that no script can mean by chance
MOST_LINKS = 8  # on the way to a file


class FolderRoom:
    """The files of a folder below `ROOT`; special files and links that lead out are not there."""

    def __init__(self, folder: SubmissionFolder) -> None:
        self.folder = folder
        self.files = {f"{ROOT}/{file.name}": file for file in folder.files if file.kind == "file"}
        self.links = {f"{ROOT}/{file.name}": f"{ROOT}/{file.target}" for file in folder.files if file.target}
        self.folders: dict[str, list[str]] = {}
        self.below: dict[str, list[str]] = {}
        self.by_last_name: dict[str, list[str]] = {}
        for path in self.files:
            above, name = posixpath.split(path)
            self.folders.setdefault(above, []).append(name)
            self.by_last_name.setdefault(name, []).append(path)
            while above != ROOT:
                above = posixpath.dirname(above)
                self.folders.setdefault(above, [])

    def is_file(self, path: str) -> bool:
        return self.own(path) in self.files

    def is_folder(self, path: str) -> bool:
        return self.own(path) in self.folders

    def names_in(self, folder: str) -> list[str]:
        return self.folders.get(self.own(folder), [])

    def files_below(self, folder: str) -> list[str]:
        folder = self.own(folder)
        if folder not in self.below:
            self.below[folder] = [path[len(folder) + 1 :] for path in self.files if path.startswith(f"{folder}/")]
        return self.below[folder]

    def files_named(self, end: str) -> list[str]:
        same_name = self.by_last_name.get(posixpath.basename(end), [])
        return [path for path in same_name if path.endswith(f"/{end}")]

    def size(self, path: str) -> int:
        return self.files[self.own(path)].bytes

    def read(self, path: str) -> bytes:
        file = self.files[self.own(path)]
        data = self.folder.read_bytes(file.name)
        if len(data) < file.bytes:
            raise OSError(self.folder.unread.get(file.name, "it was read in part"))
        return data

    def own(self, path: str) -> str:
        """The path without the links in it that stay inside of the folder; their texts alone are looked at."""
        for _ in range(MOST_LINKS if self.links else 0):
            link = next((each for each in self.links if path == each or path.startswith(f"{each}/")), None)
            if link is None:
                break
            path = self.links[link] + path[len(link) :]
        return path


def name_in_folder(path: str) -> str:
    """The name of a path of the room as the folder lists it."""
    return path.removeprefix(f"{ROOT}/")
