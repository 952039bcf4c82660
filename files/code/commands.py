"""What a command line starts: programs, Python modules and scripts, compiled sources, source text after `-c`.

Strategy: a command is words, of which some may be unknown (None). Shell text is split by `shlex` into
commands at `;`, `|` and `&`; wrappers such as `env`, `nohup` and `bash -c` are looked through.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from .references import Kind, Payload, Reference

WRAPPERS = {"env", "nohup", "sudo", "exec", "time", "nice", "stdbuf", "timeout", "command"}
SHELLS = {"sh", "bash", "dash", "zsh"}
LAUNCHERS = {"torchrun", "accelerate", "deepspeed", "mpirun", "composer"}
COMPILERS = {"g++", "gcc", "cc", "c++", "clang", "clang++", "nvcc", "hipcc", "rustc", "go"}
DOWNLOADERS = {"curl", "wget", "git", "apt", "apt-get", "pip", "pip3", "uv", "conda", "huggingface-cli", "hf", "gsutil"}
NATIVE_SUFFIXES = (".c", ".cc", ".cpp", ".cxx", ".cu", ".cuh", ".h", ".hpp", ".s", ".rs", ".go")
PYTHON = re.compile(r"python[0-9.]*w?$")
PROGRAM = re.compile(r"[A-Za-z0-9_][\w.+-]*$")
GIT_DOWNLOADS: set[str | None] = {"clone", "fetch", "pull", "push", "submodule", "lfs"}
ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
SHELL_WORDS = {"cd", "echo", "export", "set", "source", ".", "true", "false", "test", "[", "if", "then", "else", "fi"}
SHELL_WORDS |= {"for", "do", "done", "while", "mkdir", "rm", "cp", "mv", "ls", "cat", "exit", "ulimit", "unset", "wait"}
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
    while words and isinstance(words[0], str) and (ASSIGNMENT.match(words[0]) or _name(words[0]) in WRAPPERS):
        words = words[1:]
    if not words or words[0] is None:
        return
    program, arguments = _name(words[0]), words[1:]
    if program in SHELLS:
        yield from _shell_references(program, arguments, line, via)
    elif PYTHON.match(program) or program in LAUNCHERS:
        yield from _python_references(program, arguments, line, via)
    elif PROGRAM.match(program) and program not in SHELL_WORDS:
        yield Reference(Kind.PROGRAM, program, line, via=via)
        if program in DOWNLOADERS and (program != "git" or GIT_DOWNLOADS & set(arguments)):
            yield Reference(Kind.NETWORK, _shown(program, arguments), line, via=via)
        for word in arguments:
            if word and word.endswith(NATIVE_SUFFIXES):
                yield Reference(Kind.NATIVE_SOURCE, word, line, via=program)
        if words[0].startswith(("./", "/")):
            yield Reference(Kind.READ_FILE, words[0], line, via=via)


def _shell_references(program: str, arguments: list[Word], line: int, via: str) -> Iterator[Reference | Payload]:
    for number, word in enumerate(arguments):
        if word and word.startswith("-") and word.endswith("c"):
            for command in split_shell(arguments[number + 1] or "") if number + 1 < len(arguments) else []:
                yield from command_references(command, line, via)
            return
        if word and not word.startswith("-"):
            yield Reference(Kind.READ_FILE, word, line, via=program)
            return


def _python_references(program: str, arguments: list[Word], line: int, via: str) -> Iterator[Reference | Payload]:
    """`python -m module`, `python -c text`, `python script.py`, and launchers that end in one of these."""
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
                if following in ("pip", "ensurepip"):
                    yield Reference(Kind.NETWORK, _shown("pip", arguments[number + 2 :]), line, via=via)
            return
        if word and word.endswith((".py", ".pyw")):
            yield Reference(Kind.STARTED_SCRIPT, word, line, via=via)
            return


def _name(word: str) -> str:
    return word.rsplit("/", 1)[-1]


def _shown(program: str, arguments: Sequence[Word]) -> str:
    return " ".join([program, *(word for word in arguments[:3] if word)])
