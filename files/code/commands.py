"""What a command line starts: programs, Python modules and scripts, compiled sources, source text after `-c`.

Strategy: a command is words, of which some may be unknown (None). Shell text is split by `shlex` into
commands at `;`, `|` and `&`; wrappers such as `env`, `nohup` and `bash -c` are looked through.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from .call_names import STARTING_VARIABLES
from .network_names import SHELL_ADDRESSES, command_download
from .references import Kind, Payload, Reference

WRAPPERS = {"env", "nohup", "sudo", "exec", "time", "nice", "stdbuf", "timeout", "command"}
SHELLS = {"sh", "bash", "dash", "zsh"}
LAUNCHERS = {"torchrun", "accelerate", "deepspeed", "mpirun", "composer"}
NATIVE_SUFFIXES = (".c", ".cc", ".cpp", ".cxx", ".cu", ".cuh", ".h", ".hpp", ".s", ".rs", ".go")
PYTHON = re.compile(r"python[0-9.]*w?$")
PROGRAM = re.compile(r"[A-Za-z0-9_][\w.+-]*$")
ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
SHELL_WORDS = {"cd", "echo", "export", "set", "source", ".", "true", "false", "test", "[", "if", "then", "else", "fi"}
SHELL_WORDS |= {"for", "do", "done", "while", "mkdir", "rm", "cp", "mv", "ls", "cat", "exit", "ulimit", "unset", "wait"}
SOURCING = {"source", "."}
NOT_READING = {"echo", "rm", "mkdir", "ls", "tee", "touch", "export", "set", "cd", "test", "[", "unset", "exit", "git"}
NOT_READING |= {"pip", "pip3", "uv", "conda", "apt", "apt-get", "nvidia-smi", "pyminify", "kill", "sleep", "wait"}
GIT_CONTENT = set("cat-file archive checkout restore worktree apply am bundle unpack-file".split())  # of a repository
OPTIONS_WITH_WORDS = {"-X", "-W", "--check-hash-based-pycs"}  # of Python, before the script
Word = str | None


def split_shell(text: str) -> list[list[Word]]:
    """The commands of a shell text as words; an empty list for text that is no shell."""
    try:
        lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        lexer.commenters = ""
        words = list(lexer)
    except ValueError:
        return []
    commands: list[list[Word]] = [[]]
    for word in words:
        if word and set(word) <= set(";|&()"):
            commands.append([])
        else:
            commands[-1].append(word)
    return [command for command in commands if command]


def command_references(words: Sequence[Word], line: int, via: str = "") -> Iterator[Reference | Payload]:
    """What one command starts, reads and compiles."""
    words = list(words)
    if any(word and word.startswith(SHELL_ADDRESSES) for word in words):
        yield Reference(Kind.NETWORK, next(word for word in words if word and word.startswith(SHELL_ADDRESSES)), line)
    while words and isinstance(words[0], str) and (ASSIGNMENT.match(words[0]) or _name(words[0]) in WRAPPERS):
        yield from _setting(words[0], line) if ASSIGNMENT.match(words[0]) else ()
        words = words[1:]
    words, inputs = _without_redirections(words)
    if not words or words[0] is None:
        return
    program, arguments = _name(words[0]), words[1:]
    runs_input = program in SHELLS or PYTHON.match(program) is not None
    for name in inputs:
        via_input = program if runs_input else via
        yield Reference(Kind.STARTED_SCRIPT if runs_input else Kind.READ_FILE, name, line, optional=True, via=via_input)
    if program in SHELLS | SOURCING:
        yield from _shell_references("sh" if program in SOURCING else program, arguments, line, via)
    elif PYTHON.match(program) or program in LAUNCHERS:
        yield from _python_references(program, arguments, line, via)
    else:
        yield from _program_references(program, words[0], arguments, line, via)


def _program_references(
    program: str, written: str, arguments: Sequence[Word], line: int, via: str
) -> Iterator[Reference]:
    """A program that is neither a shell nor Python: it, what it downloads, compiles and reads."""
    for word in arguments if program == "export" else ():
        yield from _setting(word, line) if word and ASSIGNMENT.match(word) else ()
    yield from _read_by(program, arguments, line)
    yield from _installed(program, arguments, line)
    if PROGRAM.match(program) and program not in SHELL_WORDS:
        what = next((word for word in arguments if word and not word.startswith("-")), "")
        of_revision = what == "show" and any(word and ":" in word and word[0] != "-" for word in arguments)
        takes = program == "git" and (what in GIT_CONTENT or of_revision)
        yield Reference(Kind.PROGRAM, f"git {what}" if takes else program, line, via=via)
        if command_download(program, arguments):
            yield Reference(Kind.NETWORK, _shown(program, arguments), line, via=via)
        for word in arguments:
            if word and word.endswith(NATIVE_SUFFIXES):
                yield Reference(Kind.NATIVE_SOURCE, word, line, via=program)
        if written.startswith(("./", "/")):
            yield Reference(Kind.STARTED_SCRIPT, written, line, optional=True, via=via)


def _setting(word: str, line: int) -> Iterator[Reference]:
    """What `NAME=value` sets."""
    name, _, value = word.partition("=")
    return setting_references(name, value, line)


def setting_references(name: str, value: str, line: int) -> Iterator[Reference]:
    """What a variable of the environment makes run, or where it makes modules be found."""
    paths = [path for path in re.split(r"[:;\s]", value) if path]
    if name in ("LD_PRELOAD", "LD_AUDIT"):
        yield from (Reference(Kind.LIBRARY, path, line, optional=True, via=name) for path in paths)
    elif name == "PYTHONPATH":
        yield from (Reference(Kind.IMPORT_PATH, path, line, via=name) for path in paths if not path.startswith("$"))
    elif name in STARTING_VARIABLES and value:
        yield Reference(Kind.EXECUTED_FILE, value, line, optional=True, via=name)


def _installed(program: str, arguments: Sequence[Word], line: int) -> Iterator[Reference]:
    """Packages that lie in the folder: `pip install ./wheel.whl`; `-r` names a list of others."""
    if program in ("pip", "pip3", "uv") and "install" in arguments:
        for before, word in zip(["", *arguments], arguments, strict=False):
            if word and before not in ("-r", "--requirement", "-c") and word.startswith((".", "/")) | ("." in word):
                yield Reference(Kind.READ_FILE, word, line, via="pip")
                yield Reference(Kind.IMPORT_PATH, word, line, via="pip")


def _without_redirections(words: Sequence[Word]) -> tuple[list[Word], list[str]]:
    """The words without `< file` and `> file`, and the files that are read so."""
    kept: list[Word] = []
    inputs: list[str] = []
    before: Word = ""
    for word in words:
        if before and set(before) <= set("<>&") and before[0] in "<>":
            inputs += [word] if before == "<" and word else []
        elif not (word and set(word) <= set("<>&")):
            kept.append(word)
        before = word
    return kept, inputs


def _read_by(program: str, arguments: Sequence[Word], line: int) -> Iterator[Reference]:
    """Words that may be files which a program reads: `cat weights.txt`, `xz -d table.xz`."""
    if program not in NOT_READING:
        for word in arguments:
            if word and not word.startswith("-"):
                yield Reference(Kind.READ_FILE, word, line, via=program)


def _shell_references(program: str, arguments: list[Word], line: int, via: str) -> Iterator[Reference | Payload]:
    for number, word in enumerate(arguments):
        if word and word.startswith("-") and word.endswith("c"):
            for command in split_shell(arguments[number + 1] or "") if number + 1 < len(arguments) else []:
                yield from command_references(command, line, via)
            return
        if word and not word.startswith("-"):
            yield Reference(Kind.STARTED_SCRIPT, word, line, optional=True, via=program)
            return


def _python_references(program: str, arguments: list[Word], line: int, via: str) -> Iterator[Reference | Payload]:
    """`python -m module`, `python -c text`, `python script`, and launchers that end in one of these.

    A script is the first word that is no option, whatever its name ends in; launchers have words before it.
    """
    for number, word in enumerate(arguments):
        following = arguments[number + 1] if number + 1 < len(arguments) else None
        if word == "-c" and program not in LAUNCHERS:
            if following is not None:
                yield Payload(line, following, "")
            return
        if word in ("-m", "--module") and following is not None:
            if following in ("torch.distributed.run", "torch.distributed.launch", "accelerate.commands.launch"):
                yield from _python_references("torchrun", arguments[number + 2 :], line, via)
            else:
                yield Reference(Kind.STARTED_MODULE, following, line, via=via)
                yield from _installed(following, arguments[number + 2 :], line)
                if following in ("pip", "uv", "ensurepip") and (
                    following == "ensurepip" or command_download(following, arguments[number + 2 :])
                ):
                    yield Reference(Kind.NETWORK, _shown("pip", arguments[number + 2 :]), line, via=via)
            return
        if word and word.endswith((".py", ".pyw")):
            yield Reference(Kind.STARTED_SCRIPT, word, line, via=via)
            return
        if word and not word.startswith("-") and (not number or arguments[number - 1] not in OPTIONS_WITH_WORDS):
            yield Reference(Kind.STARTED_SCRIPT, word, line, optional=True, via=via)
            if program not in LAUNCHERS:
                return


def _name(word: str) -> str:
    return word.rsplit("/", 1)[-1]


def _shown(program: str, arguments: Sequence[Word]) -> str:
    return " ".join([program, *(word for word in arguments[:3] if word)])
