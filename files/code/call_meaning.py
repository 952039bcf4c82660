"""What a call does to the list of what a script needs: execute, import, start, compile, load, read, write, download.

Strategy: the full name of what is called (`numpy.load`, whatever it was imported as) is looked up in
tables; methods of objects that are not known are looked up by their own name, only where it can mean
one thing. Paths are evaluated; where only their end is known, that end is kept and marked as assumed.
"""

from __future__ import annotations

import ast
from pathlib import PurePosixPath
from typing import Any

from . import call_names, network_names
from .bounded_decompressors import CannotDecode
from .call_arguments import (
    as_word,
    is_memory,
    is_reflection,
    keyword_is,
    keyword_of,
    summed_lists,
)
from .call_forms import parsed
from .call_paths import FOUND, CallPaths
from .changed_names import AssignedNames
from .commands import Word, command_references, split_shell
from .evaluated_functions import run_statements
from .evaluated_values import UNKNOWN, Compiled, ComputedMember, Named, OpenFile, Scope, Unknown
from .evaluation import WRONG_VALUES, Evaluator
from .found_files import LISTINGS, PATH_LISTINGS
from .references import Kind, Payload


class CallMeaning(CallPaths):
    """Hands what each call means to `found`; `attributes` are values of attributes by their own name."""

    def __init__(self, evaluator: Evaluator, attributes: dict[str, Any], found: FOUND) -> None:
        super().__init__(evaluator, attributes, found)
        self.own_functions: set[str] = set()  # that the script defines, and which are read where they stand

    def read(self, call: ast.Call, names: dict[str, Any]) -> None:
        """Look one call up, by the full name of what is called or by the name of the method."""
        for world in self.evaluator.worlds(call, names):
            self._read(call, world)

    def _read(self, call: ast.Call, names: dict[str, Any]) -> None:
        callee = self.evaluator.callee(call, names)
        if callee is UNKNOWN and isinstance(call.func, ast.Attribute):
            held = self.attributes.get(call.func.attr)  # `self.run = exec`
            callee = held if isinstance(held, Named) else callee
        if isinstance(callee, Named):
            self._named(callee.name, call, names)
        elif isinstance(callee, ComputedMember):
            self.computed(f"calls a function of {callee.owner} by a computed name", call)
        elif isinstance(call.func, ast.Name) and call.func.id in call_names.IMPORTERS:  # wherever the name came from
            self._import(call, names)
        elif isinstance(call.func, ast.Attribute):
            owner = callee[0] if isinstance(callee, tuple) else UNKNOWN
            self._method(call.func.attr, owner, call, names)

    def _named(self, name: str, call: ast.Call, names: dict[str, Any]) -> None:
        if name in call_names.EXECUTORS:
            self._execute(name, call, names)
        elif name in call_names.IMPORTERS:
            self._import(call, names, name)
        elif name in call_names.FILE_IMPORTERS:
            self.path(Kind.EXECUTED_FILE, call, call_names.FILE_IMPORTERS[name], names, name)
        elif name == "runpy.run_module":
            module = self.argument(call, 0, names)
            if isinstance(module, str):
                self.say(Kind.STARTED_MODULE, module, call, via=name)
        elif name in call_names.OPENERS:
            self._open(call, names, name, 0)
        elif name in call_names.STARTERS:
            self._start(call, names, name)
        elif name in call_names.STARTERS_OF_WORDS:
            self._start_words(call.args[call_names.STARTERS_OF_WORDS[name] :], call, names, name)
        elif name in call_names.NATIVE_BUILDERS:
            self._native(call, names, name)
        elif name in call_names.INLINE_BUILDERS:
            self.say(Kind.INLINE_NATIVE, name, call)
        elif name in call_names.LIBRARIES:
            self.library(name, call, names)
        elif name in call_names.UNFOLLOWED:
            self.say(Kind.UNREADABLE, f"{call_names.UNFOLLOWED[name]} ({name})", call)
        elif name == "operator.methodcaller":
            method = self.argument(call, 0, names)
            if isinstance(method, Unknown) or method in call_names.SHORT_NAMES:
                self.say(Kind.UNREADABLE, f"a method that is called by name ({name})", call)
        elif name == "getattr" and getattr(self.argument(call, 0, names), "name", "") in call_names.LOADERS:
            self.path(Kind.LIBRARY, call, 1, names, "ctypes.cdll")
        elif name == "setattr":
            owner, attribute = self.argument(call, 0, names), self.argument(call, 1, names)
            if (replaced := f"{getattr(owner, 'name', '')}.{attribute}") in call_names.REPLACED:
                self.say(Kind.UNREADABLE, f"{replaced} is replaced by a function of its own", call)
        elif name == "pkgutil.get_data":
            self.path(Kind.READ_FILE, call, 1, names, name, "resource")
        elif name in ("sys.path.insert", "sys.path.append", "site.addsitedir"):
            self.path(Kind.IMPORT_PATH, call, 1 if name.endswith("insert") else 0, names, name)
        elif name in call_names.SET_VARIABLES:
            variable = self.argument(call, 0, names)
            if isinstance(variable, str):
                self.environment(variable, self.argument(call, 1, names), call.lineno)
        elif name == "sys.path.extend":
            self.import_paths(call, names)
        elif name in call_names.STANDARD_INPUT:
            self.say(Kind.COMPUTED_FILE, "standard input", call)
        elif name in LISTINGS:
            self.look(name, call, names)
        else:
            self._data(name, call, names)

    def _data(self, name: str, call: ast.Call, names: dict[str, Any]) -> None:
        """Calls that may be several things: a reader that unpickles, a copy that reads and writes."""
        if name in call_names.READERS and not (name == "torch.load" and is_memory(call)):
            place, keyword = call_names.READ_PLACES.get(name, (0, "file"))
            self.path(Kind.READ_FILE, call, place, names, name, keyword)
        if name in call_names.WRITERS:
            self.path(Kind.WRITTEN_FILE, call, call_names.WRITERS[name], names, name)
        if name in call_names.UNPICKLERS and not keyword_is(call, "weights_only", True):
            self.say(Kind.UNPICKLING, name, call)
        if name == "numpy.load" and keyword_is(call, "allow_pickle", True):
            self.say(Kind.UNPICKLING, name, call)
        if used := network_names.network_use(name, call, self.argument(call, 0, names)):
            self.say(Kind.NETWORK, used, call)

    def _method(self, name: str, owner: Any, call: ast.Call, names: dict[str, Any]) -> None:
        if isinstance(owner, PurePosixPath):
            if name in PATH_LISTINGS:
                self.look(name, call, names)
            elif name in call_names.PATH_READS | call_names.PATH_MOVES:
                self.say(Kind.READ_FILE, str(owner), call, via="pathlib")
            elif name in call_names.PATH_WRITES:
                self.say(Kind.WRITTEN_FILE, str(owner), call, via="pathlib")
            elif name == "open":
                mode = self.argument(call, 0, names, "mode")
                self._opened(str(owner), mode, call, "pathlib")
        elif name in call_names.PATH_READS | call_names.PATH_WRITES and isinstance(owner, Unknown):
            path = self.known_end(call.func.value, names) if isinstance(call.func, ast.Attribute) else ""
            if path:
                kind = Kind.READ_FILE if name in call_names.PATH_READS else Kind.WRITTEN_FILE
                self.say(kind, path, call, via="pathlib", assumed=True)
            elif name in call_names.PATH_READS:
                self.say(Kind.COMPUTED_FILE, f"pathlib.Path.{name}", call)
        elif name in call_names.TOKENIZER_LOADS and isinstance(owner, Unknown):
            self.path(Kind.READ_FILE, call, 0, names, name)
        elif name.endswith("from_pretrained") and name not in self.own_functions:
            if not network_names.stays_here(call, self.argument(call, 0, names)):
                self.say(Kind.NETWORK, name, call)
        elif name in ("connect", "sendto") and network_names.is_address(self.argument(call, -1, names)):
            self.say(Kind.NETWORK, f"{name} to an address", call)
        elif name in call_names.INTERPRETER_RUNS:
            self._execute(name, call, names)
        elif name == "__subclasses__" and is_reflection(call.func):
            self.say(Kind.UNREADABLE, "functions found by reflection (__subclasses__)", call)

    def _execute(self, name: str, call: ast.Call, names: dict[str, Any]) -> None:
        if not call.args:
            return
        self.evaluator.files_read.clear()
        value = self.evaluator.value(call.args[0], names)
        files = list(dict.fromkeys(self.evaluator.files_read))
        value = value.source if isinstance(value, Compiled) else value
        text: Any = value.decode("utf-8", "replace") if isinstance(value, bytes | bytearray) else value
        if isinstance(text, str):
            for path in files:
                self.say(Kind.EXECUTED_FILE, path, call, via=name)
            packing = ", ".join(self.evaluator.decoders)
            if not files or packing:
                self.found(Payload(call.lineno, text, packing, self._names_there(call, names)))
            if name.endswith("exec"):
                self._define(text, call, names)
            return
        behind = self._file_behind(call.args[0], names)
        if behind is not None:
            self.say(Kind.EXECUTED_FILE, behind, call, via=name)
        elif name.endswith(("exec", "eval")) or not isinstance(value, Unknown) or value.reason:
            reason = value.reason if isinstance(value, Unknown) and value.reason else "its text is computed"
            self.say(Kind.UNREADABLE, f"{name}, {reason}", call)

    def _names_there(self, call: ast.Call, names: dict[str, Any]) -> dict[str, Any]:
        """The names that executed text sees: those of the dict that it is given, or those around the call."""
        given = self.argument(call, 1, names, "globals")
        if isinstance(given, dict):
            return {key: value for key, value in given.items() if isinstance(key, str)}
        return dict(names) if len(call.args) < 2 or isinstance(given, Scope) else {}

    def _define(self, text: str, call: ast.Call, names: dict[str, Any]) -> None:
        """Bind the names that a short executed text binds, as far as it is simple; its others are not known."""
        given = self.argument(call, 1, names, "globals") if len(call.args) > 1 else names
        given = given.names if isinstance(given, Scope) else given
        if not isinstance(given, dict):
            return
        try:
            statements = parsed(self.evaluator, text, "exec").body
        except (CannotDecode, ValueError, RecursionError, MemoryError):
            return
        for statement in statements:
            try:
                run_statements(self.evaluator, [statement], given)
            except (CannotDecode, *WRONG_VALUES):
                given.update(dict.fromkeys(AssignedNames().of([statement]), UNKNOWN))

    def _file_behind(self, node: ast.expr, names: dict[str, Any]) -> str | None:
        """The path in an `open(...)` or `.read_text()` inside an expression whose value is not known."""
        for item in ast.walk(node):
            value = self.evaluator.value(item, names) if isinstance(item, ast.Call | ast.Name) else UNKNOWN
            if isinstance(value, OpenFile):
                return value.path
        return None

    def _import(self, call: ast.Call, names: dict[str, Any], via: str = "import_module") -> None:
        module = self.argument(call, 0, names, "name")
        if isinstance(module, str):
            name = module.partition(":")[0].lstrip(".")
            finds = via in call_names.ONLY_FIND
            dots = len(module) - len(module.lstrip("."))
            self.say(Kind.MODULE, name, call, dots=dots, via=via if finds else "import_module", optional=True)
        else:
            self.computed("imports a module by a computed name", call)

    def _open(self, call: ast.Call, names: dict[str, Any], via: str, place: int) -> None:
        mode = self.argument(call, place + 1, names, "mode")
        path = self.path_text(call, place, names, "file")
        if path is not None:
            self._opened(path[0], mode, call, via, path[1])
        elif not (isinstance(mode, str) and set(mode) & set("wax")):
            self.say(Kind.COMPUTED_FILE, via, call)

    def _opened(self, path: str, mode: Any, call: ast.Call, via: str, assumed: bool = False) -> None:
        writes = isinstance(mode, str) and set(mode) & set("wax")
        self.say(Kind.WRITTEN_FILE if writes else Kind.READ_FILE, path, call, via=via, assumed=assumed)

    def _start(self, call: ast.Call, names: dict[str, Any], via: str) -> None:
        argument = call.args[0] if call.args else keyword_of(call, "args")
        value = self.evaluator.value(argument, names) if argument is not None else UNKNOWN
        value = value.decode("utf-8", "replace") if isinstance(value, bytes | bytearray) else value
        parts = summed_lists(argument)
        if isinstance(value, list | tuple):
            self._found_all([as_word(item) for item in value], call, via)
        elif parts:
            self._start_words(parts, call, names, via)
        elif argument is not None:
            text = value if isinstance(value, str) else self.sketch(argument, names)
            if text.startswith("?"):
                self.computed(f"starts a computed command ({via})", call)
            for command in split_shell(text):
                self._found_all(command, call, via)

    def _start_words(self, nodes: list[ast.expr], call: ast.Call, names: dict[str, Any], via: str) -> None:
        words: list[Word] = []
        for node in nodes:
            value = self.evaluator.value(node.value if isinstance(node, ast.Starred) else node, names)
            if isinstance(node, ast.Starred) and not isinstance(value, list | tuple):
                words.append(None)
            elif isinstance(value, list | tuple):
                words += [as_word(item) for item in value]
            else:
                words.append(as_word(value) or self.known_end(node, names) or None)
        self._found_all(words, call, via)

    def _found_all(self, words: list[Word], call: ast.Call, via: str) -> None:
        if not words or words[0] is None:
            self.computed(f"starts a computed command ({via})", call)
        for item in command_references(words, call.lineno, via):
            self.found(item)

    def _native(self, call: ast.Call, names: dict[str, Any], via: str) -> None:
        argument = keyword_of(call, "sources") or (call.args[1] if len(call.args) > 1 else None)
        nodes = argument.elts if isinstance(argument, ast.List | ast.Tuple) else [argument] if argument else []
        for node in nodes:
            value = self.evaluator.value(node, names)
            for item in value if isinstance(value, list | tuple) else [value]:
                path = as_word(item) or self.known_end(node, names)
                if path:
                    self.say(Kind.NATIVE_SOURCE, path, call, via=via, assumed=as_word(item) is None)
