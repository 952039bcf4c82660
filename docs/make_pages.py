"""Write the parts of docs/ that are taken from the code: `python docs/make_pages.py`.

Strategy: a page is written by hand except for blocks between `<!-- NAME: WHAT -->` and `<!-- end -->`. These are filled
from the code: the options of a command from its click parameters, the exit codes, the default recipe, the rules for
submission folders, the licences of the pinned packages, and the source of a class or function by its name. A test
compares every page with what this script would write.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import textwrap
from collections.abc import Callable
from functools import cache
from pathlib import Path

import click

from bytecap.cli.exit_codes import EXIT_CODES
from bytecap.cli.main import group
from bytecap.compiler.recipe import read_recipe
from bytecap.submissions.rules import SECTIONS

ROOT = Path(__file__).resolve().parents[1]
SUBMISSION_COUNTS = ROOT / "benchmarks" / "results" / "submissions.json"
CONSTRAINTS, LICENCES = ROOT / "constraints.txt", ROOT / "requirements" / "licences.json"
LINE = 116
PAGES = (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
BLOCK = re.compile(r"<!-- (?P<kind>[a-z-]+)(?:: (?P<what>[^\n]*?))? -->\n(?P<content>.*?)<!-- end -->", re.DOTALL)


def filled(text: str) -> str:
    """A page's text with every block filled; KeyError or LookupError for a block that names nothing."""
    return BLOCK.sub(_filled_block, text)


def _filled_block(match: re.Match[str]) -> str:
    kind, what = match["kind"], match["what"] or ""
    opening = match[0].split("\n", 1)[0]
    return f"{opening}\n{KINDS[kind](what)}\n<!-- end -->"


def top_context() -> click.Context:
    """The context of `bytecap` itself: commands below it take its settings."""
    return click.Context(group, info_name="bytecap", **group.context_settings)


def command_named(name: str) -> click.Command:
    """The click command that `bytecap NAME` runs; NAME may have two words."""
    command: click.Command = group
    for word in name.split():
        found = command.get_command(top_context(), word) if isinstance(command, click.Group) else None
        if found is None:
            raise LookupError(f"there is no command {name!r}")
        command = found
    return command


def shown_commands() -> dict[str, click.Command]:
    """The commands that `bytecap --help` lists, by name."""
    found = {name: command_named(name) for name in group.list_commands(top_context())}
    return {name: command for name, command in found.items() if not command.hidden}


def command_reference(name: str) -> str:
    """What `bytecap NAME --help` says, as Markdown: the command line, the purpose, a table of arguments and options."""
    command = command_named(name)
    context = click.Context(command, parent=top_context(), info_name=name)
    usage = "\n".join(["```text", " ".join([f"bytecap {name}", *command.collect_usage_pieces(context)]), "```"])
    purpose = textwrap.fill(_one_line(command.help or ""), LINE)
    rows = [
        _parameter_row(parameter, context) for parameter in command.params if not getattr(parameter, "hidden", False)
    ]
    table = "\n".join(["| argument or option | what it is |", "|---|---|", *rows])
    return "\n\n".join([usage, purpose, *([table] if rows else [])])


def _parameter_row(parameter: click.Parameter, context: click.Context) -> str:
    if isinstance(parameter, click.Argument):
        return _row(f"`{parameter.human_readable_name}`", _argument_text(parameter))
    flag = isinstance(parameter, click.Option) and parameter.is_flag
    names = ", ".join(f"`{name}`" for name in parameter.opts)
    metavar = "" if flag else f" `{_metavar(parameter, context)}`"
    text = _one_line((parameter.help or "") if isinstance(parameter, click.Option) else "")
    notes = []
    if isinstance(parameter.type, click.Choice) and not all(str(choice) in text for choice in parameter.type.choices):
        notes.append("One of " + ", ".join(f"`{choice}`" for choice in parameter.type.choices) + ".")
    if parameter.required:
        notes.append("Required.")
    if isinstance(parameter, click.Option) and parameter.show_default and not flag:
        notes.append(f"Default: `{_default(parameter)}`.")
    return _row(names + metavar, " ".join([re.sub(r"\s*\[default: (.*)\]$", r" Default: \1.", text), *notes]))


def _default(parameter: click.Option) -> str:
    value = parameter.default
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _metavar(parameter: click.Parameter, context: click.Context) -> str:
    if parameter.metavar:
        return parameter.metavar
    return "NAME" if isinstance(parameter.type, click.Choice) else parameter.make_metavar(context)


def _argument_text(parameter: click.Argument) -> str:
    if isinstance(parameter.type, click.Choice):
        return "One of " + ", ".join(f"`{choice}`" for choice in parameter.type.choices) + "."
    files, folders = (getattr(parameter.type, name, not folder) for name, folder in (("file_okay", 0), ("dir_okay", 1)))
    kind = "A file or a folder." if files and folders else "A folder." if folders else "A file."
    return kind if parameter.required else f"{kind} Default: `{parameter.default}`."


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def command_list(_: str) -> str:
    """A table of the commands with links to their pages."""
    rows = [
        _row(f"[`{name}`]({name}.md)", _one_line(command.short_help or ""))
        for name, command in shown_commands().items()
    ]
    return "\n".join(["| command | what it does |", "|---|---|", *rows])


def exit_codes(_: str) -> str:
    """The table of exit codes."""
    return "\n".join(["| code | meaning |", "|---|---|", *(_row(str(c), meaning) for c, meaning in EXIT_CODES.items())])


def default_recipe(_: str) -> str:
    """The default recipe as a TOML file with every option spelled out."""
    return f"```toml\n{read_recipe('default').to_toml().strip()}\n```"


@cache
def _module(path: Path) -> tuple[str, ast.Module]:
    text = path.read_text(encoding="utf-8")
    return text, ast.parse(text)


def source(what: str) -> str:
    """`PATH NAME`: the source of a class, function, method (`Class.method`) or assignment, as it stands in the file."""
    path, name = what.split()
    text, node = _module(ROOT / path)
    found: ast.AST = node
    for part in name.split("."):
        found = _child(found, part, what)
    lines = text.splitlines()
    first = min([found.lineno, *(d.lineno for d in getattr(found, "decorator_list", []))])
    body = lines[first - 1 : found.end_lineno]
    indent = len(body[0]) - len(body[0].lstrip())
    return "\n".join([f"From `{path}`:", "", "```python", *(line[indent:] for line in body), "```"])


def _child(node: ast.AST, name: str, what: str) -> ast.AST:
    for child in getattr(node, "body", []):
        targets = [child.target] if isinstance(child, ast.AnnAssign) else getattr(child, "targets", [])
        if getattr(child, "name", None) == name or any(getattr(target, "id", None) == name for target in targets):
            return child
    raise LookupError(f"there is no {what}")


def submission_rules(section: str) -> str:
    """The rules of one section of the judgement of a folder, and in how many folders of the challenge each fires."""
    counts = json.loads(SUBMISSION_COUNTS.read_text(encoding="utf-8"))
    groups = [counts["merged"], counts["pull_requests"]]
    rows = [
        _row(
            f"`{rule.id}`",
            ", ".join(level.value for level in rule.levels),
            rule.meaning,
            *(_firing(group["rules"].get(rule.id, {})) for group in groups),
        )
        for rule in SECTIONS[section]
    ]
    heads = _row(
        "rule",
        "levels",
        "what it says",
        *(f"of {group['folders']} {name}" for group, name in zip(groups, ("merged", "others"), strict=True)),
    )
    return "\n".join([heads, "|---|---|---|---|---|", *rows])


def _firing(levels: dict[str, int]) -> str:
    """`3 finding, 1 fail`; one number where there is one level."""
    return (
        str(*levels.values()) if len(levels) == 1 else ", ".join(f"{count} {level}" for level, count in levels.items())
    )


def licences(_: str) -> str:
    """The pinned packages with what each declares of its licence, under the headings of `constraints.txt`."""
    declared = json.loads(LICENCES.read_text(encoding="utf-8"))
    lines = [_row("package", "version", "licence"), "|---|---|---|"]
    for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines()[1:]:
        if line.startswith("#"):
            lines.append(_row(f"**{line.removeprefix('# ').rstrip('.')}**", "", ""))
        elif line:
            name, version = line.split("==")
            lines.append(_row(f"`{name}`", version, declared[re.sub(r"[-_.]+", "-", name).lower()]))
    return "\n".join(lines)


KINDS: dict[str, Callable[[str], str]] = {
    "command": command_reference,
    "commands": command_list,
    "exit-codes": exit_codes,
    "default-recipe": default_recipe,
    "source": source,
    "submission-rules": submission_rules,
    "licences": licences,
}


def main() -> int:
    """Fill the blocks of every page; says which files changed."""
    for page in PAGES:
        before = page.read_text(encoding="utf-8")
        after = filled(before)
        if after != before:
            page.write_text(after, encoding="utf-8")
            print(f"wrote {page.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
