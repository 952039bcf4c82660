"""The documentation agrees with the code: generated parts are fresh, links lead somewhere, named files exist."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from types import ModuleType

import click
import pytest
from documentation import FENCE, PAGES, QUOTED_SOURCE, anchors, links, page_name
from source_tree import LAYERS, ROOT

import bytecap
from bytecap.cli.exit_codes import EXIT_CODES
from bytecap.compiler.recipe import read_recipe

LONGEST_LINE = 120
DOCS = ROOT / "docs"
FOLDERS = "|".join((*LAYERS, "spec", "tests", "benchmarks", "docs", "examples", "requirements"))
NAMED_PATH = re.compile(rf"`((?:{FOLDERS})/[\w./-]*|\w+\.py)`")
PLACEHOLDERS = re.compile(r"NAME|X\b")  # of paths such as cli/NAME_command.py


def script(name: str) -> ModuleType:
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKE_PAGES = script("make_pages")
MAKE_FIGURES = script("make_figures")
EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=page_name)


@EVERY_PAGE
def test_blocks_from_the_code_are_fresh(page):
    """If this fails: .venv/bin/python docs/make_pages.py"""
    text = page.read_text(encoding="utf-8")
    assert MAKE_PAGES.filled(text) == text


@pytest.mark.parametrize("name", MAKE_FIGURES.FIGURE_FILES)
def test_figures_are_fresh(name):
    """If this fails: .venv/bin/python docs/make_figures.py"""
    assert (DOCS / "figures" / name).read_text(encoding="utf-8") == MAKE_FIGURES.FIGURE_FILES[name]()


def test_a_block_that_names_nothing_is_refused():
    with pytest.raises(LookupError):
        MAKE_PAGES.filled("<!-- command: squeeze -->\n<!-- end -->")
    with pytest.raises(LookupError):
        MAKE_PAGES.filled("<!-- source: cli/main.py squeeze -->\n<!-- end -->")


def test_every_command_has_a_page_and_every_page_a_command():
    pages = {path.stem for path in (DOCS / "commands").glob("*.md")} - {"README"}
    assert pages == set(MAKE_PAGES.shown_commands())
    for name in pages:
        text = (DOCS / "commands" / f"{name}.md").read_text(encoding="utf-8")
        assert text.startswith(f"# bytecap {name}\n\n<!-- command: {name} -->\n")


def test_every_option_of_a_command_is_in_its_page():
    for name, command in MAKE_PAGES.shown_commands().items():
        text = (DOCS / "commands" / f"{name}.md").read_text(encoding="utf-8")
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert all(f"`{option}`" in text for option in parameter.opts), (name, parameter.name)


def test_the_page_on_security_names_every_command_that_talks_to_a_cluster():
    commands = MAKE_PAGES.shown_commands().items()
    named = [f"`{name}`" for name, command in commands if any("--scheduler" in each.opts for each in command.params)]
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    (sentence,) = re.findall(r"over the network, but for (.*?) with\s+`--scheduler`", text, re.DOTALL)
    assert named and sorted(re.findall(r"`\w+`", sentence)) == sorted(named)


def test_every_public_name_is_in_the_page_of_python():
    text = (DOCS / "python.md").read_text(encoding="utf-8")
    assert [name for name in bytecap.__all__ if not re.search(rf"\bbytecap\.{name}\b", text)] == []


def test_every_exit_code_is_in_the_pages():
    text = (DOCS / "commands" / "README.md").read_text(encoding="utf-8")
    assert all(f"| {code} | {meaning} |" in text for code, meaning in EXIT_CODES.items())


def test_every_option_of_a_recipe_is_explained():
    """Each stage has a row that names its options; the switches of the menu's kinds are one entry."""
    rows = re.findall(
        r"^\| `([a-z-]+)` \| .* \| (.*) \|$", (DOCS / "recipe.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    explained = dict(rows)
    recipe = tomllib.loads(read_recipe("default").to_toml())
    assert list(explained) == list(recipe)
    for stage, options in recipe.items():
        if stage != "choose-candidates":
            assert re.findall(r"`([a-z-]+)`", explained[stage]) == list(options)


@EVERY_PAGE
def test_links_lead_somewhere(page):
    broken = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        aim = (page.parent / path).resolve() if path else page
        if not aim.exists() or (anchor and anchor not in anchors(aim)):
            broken.append(target)
    assert broken == []


@EVERY_PAGE
def test_named_files_exist(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    named = {name for name in NAMED_PATH.findall(text) if not PLACEHOLDERS.search(name)}
    assert [name for name in sorted(named) if not (ROOT / name).exists() and not (page.parent / name).exists()] == []


@EVERY_PAGE
def test_named_modules_exist(page):
    for name in re.findall(r"python -m (benchmarks\.\w+)", page.read_text(encoding="utf-8")):
        assert importlib.util.find_spec(name) is not None


@EVERY_PAGE
def test_lines_are_short_outside_of_tables(page):
    """Quoted source has the lines of its file."""
    lines = QUOTED_SOURCE.sub("", page.read_text(encoding="utf-8")).splitlines()
    long = [
        n
        for n, line in enumerate(lines, 1)
        if len(line) > LONGEST_LINE and not line.startswith(("|", "![", "bytecap "))
    ]
    assert long == []


def test_every_page_can_be_reached_from_the_readme():
    reached, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            todo += [(page.parent / target.partition("#")[0]).resolve() for target in links(page) if target[0] != "#"]
    assert [page_name(page) for page in PAGES if page not in reached] == []
