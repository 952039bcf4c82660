"""Files that a script finds by looking into its own folder: those that it reads count, those it passes over do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from submission_folders import write_folder

from bytecap.files.code.evaluated_values import Found
from bytecap.files.code.found_files import MOST_PARTS, matching_files
from bytecap.submissions.code import judge_code
from bytecap.submissions.folder import open_folder
from bytecap.submissions.judge import judge_folder

DATA = b"\x93NUMPY" + bytes(range(256)) * 8
FILES = {
    "README.md": "# A folder, in words that people read\n",
    "submission.json": "{}",
    "train.log": "step 1 loss 2\n" * 10,
    "helper.py": "x = 1\n",
    "w/a.npz": DATA,
    "w/b.npz": DATA,
    "w/c.txt": "a few words\n",
    "w.bin": DATA,
}
HEAD = """import os, glob, shutil, sys, re, numpy as np
from pathlib import Path
here = Path(__file__).parent
d = os.path.dirname(os.path.abspath(__file__))
"""
BOTH = {"w/a.npz", "w/b.npz"}
READ = {  # a script, the files that count, those that may be read
    "a loop with a condition": (
        "for n in os.listdir('w'):\n    if n.endswith('.npz'):\n        np.load(os.path.join('w', n))\n",
        BOTH,
        set(),
    ),
    "a loop that goes on": (
        "for n in os.listdir('w'):\n    if not n.endswith('.npz'):\n        continue\n    np.load('w/' + n)\n",
        BOTH,
        set(),
    ),
    "a loop that ends": (
        "for n in sorted(os.listdir(d)):\n    if n.endswith('.bin'):\n        p = os.path.join(d, n)\n        break\n"
        "np.load(p)\n",
        {"w.bin"},
        set(),
    ),
    "a comprehension": (
        "b''.join(open(os.path.join(d, 'w', n), 'rb').read() for n in sorted(os.listdir(d + '/w')) if '.npz' in n)\n",
        BOTH,
        set(),
    ),
    "all of a folder": ("for p in (here / 'w').iterdir():\n    p.read_bytes()\n", BOTH, {"w/c.txt"}),
    "all of the submission": (
        "for p in here.iterdir():\n    if p.is_file():\n        p.read_bytes()\n",
        {"w.bin"},
        {"README.md", "submission.json", "train.log"},
    ),
    "at any depth": ("[np.load(p) for p in sorted(here.rglob('*.npz'))]\n", BOTH, set()),
    "at any depth, recursive": ("[np.load(p) for p in glob.glob('**/*.npz', recursive=True)]\n", BOTH, set()),
    "a walk": (
        "for root, folders, files in os.walk('.'):\n    for f in files:\n        if f.endswith('.npz'):\n"
        "            np.load(os.path.join(root, f))\n",
        BOTH,
        set(),
    ),
    "a scan": (
        "with os.scandir('w') as entries:\n    for e in entries:\n        if e.name.endswith('.npz'):\n"
        "            open(e.path, 'rb').read()\n",
        BOTH,
        set(),
    ),
    "a map": ("list(map(np.load, glob.glob('w/*.npz')))\n", BOTH, set()),
    "numbered": ("for i, p in enumerate(sorted(glob.glob('w/*.npz'))):\n    np.load(p)\n", BOTH, set()),
    "sorted in place": ("f = os.listdir('w')\nf.sort()\nfor n in f:\n    np.load('w/' + n)\n", BOTH, {"w/c.txt"}),
    "sorted by a key": (
        "f = glob.glob('w/*.npz')\nf.sort(key=lambda n: len(n))\nfor n in f:\n    np.load(n)\n",
        BOTH,
        set(),
    ),
    "the one that there is": ("np.load(next(Path('w').glob('a*.npz')))\n", {"w/a.npz"}, set()),
    "the last in order": ("np.load(sorted(glob.glob('w/*.npz'))[-1])\n", {"w/b.npz"}, set()),
    "the first in no order": ("np.load(glob.glob('w/*.npz')[0])\n", set(), BOTH),
    "the newest": ("np.load(max(glob.glob('w/*.npz'), key=os.path.getmtime))\n", set(), BOTH),
    "a condition that is not known": (
        "for n in os.listdir('w'):\n    if re.match('a', n):\n        np.load('w/' + n)\n",
        set(),
        {*BOTH, "w/c.txt"},
    ),
    "a function": (
        "def load(folder):\n    return [np.load(p) for p in Path(folder).glob('*.npz')]\nload('w')\n",
        BOTH,
        set(),
    ),
    "a shell": ("os.system('cat w/*.npz > /tmp/x')\n", BOTH, set()),
    "a folder that is copied": ("shutil.copytree('w', '/tmp/w')\nnp.load('/tmp/w/a.npz')\n", BOTH, {"w/c.txt"}),
    "a folder that is packed": ("os.system('tar cf /tmp/w.tar w')\n", BOTH, {"w/c.txt"}),
    "all of it packed": (
        "shutil.make_archive('/tmp/w', 'tar', d)\n",
        set(),
        {*BOTH, "w.bin", "w/c.txt", "README.md", "submission.json", "train.log", "helper.py"},
    ),
    "a file under another name": ("os.rename('w.bin', 'cache.bin')\nnp.load('cache.bin')\n", {"w.bin"}, set()),
    "a link to it": ("os.symlink('w.bin', 'cache.bin')\nnp.load('cache.bin')\n", {"w.bin"}, set()),
    "sizes": ("print(sum(os.path.getsize(p) for p in glob.glob(d + '/*')))\n", set(), set()),
    "names": ("print(len(os.listdir('.')), sorted(os.listdir('w')))\n", set(), set()),
    "source": ("print(sum(len(p.read_bytes()) for p in here.glob('*.py')))\n", set(), set()),
    "data elsewhere": (
        "for p in sorted(glob.glob('./data/fineweb_train_*.bin')):\n    np.fromfile(p)\n"
        "for p in glob.glob(os.environ.get('DATA', './data') + '/val*.bin'):\n    open(p)\n",
        set(),
        set(),
    ),
    "logs that it wrote": ("for p in glob.glob('logs/*.txt'):\n    open(p).read()\n", set(), set()),
}


NAMED = {  # scripts that name w.bin and open it where nobody follows
    "a default of an option": "import argparse\np = argparse.ArgumentParser()\np.add_argument('--w', default='w.bin')\n"
    "np.load(p.parse_args().w)\n",
    "a reader that is not known": "from skimage import io\nio.imread('w.bin')\n",
    "a global": "P = None\ndef s():\n    global P\n    P = 'w.bin'\ns()\nnp.load(P)\n",
    "a generator": "def g():\n    yield './w.bin'\nfor p in g():\n    np.load(p)\n",
}
NOT_NAMED = {
    "words": "print('the file w.bin is not needed')\n",
    "a longer name": "print('w.bin.zst', 'my_w.bin')\n",
    "its own output": "open('w.bin', 'wb').write(b'')\n",
}


@pytest.mark.parametrize("way", [*NAMED, *NOT_NAMED])
def test_a_file_that_a_source_names_may_be_read(way, tmp_path):
    script = HEAD + {**NAMED, **NOT_NAMED}[way]
    facts, _ = judge_code(open_folder(write_folder(tmp_path / "folder", {"train_gpt.py": script, "w.bin": DATA})))
    assert [name for name, _ in facts.shipped.possible] == (["w.bin"] if way in NAMED else [])


@pytest.mark.parametrize(
    ("script", "outside"),
    [
        ("np.load('../other/model.npz')\n", ["../other/model.npz"]),
        ("open('/root/table.bin', 'rb')\n", ["/root/table.bin"]),
        ("np.fromfile('../../data/datasets/fineweb10B_sp1024/fineweb_val_000000.bin')\n", []),
        ("open('/proc/cpuinfo')\nopen('/proc/self/status.txt')\n", []),
        ("open('../out.txt', 'w').write('x')\nopen('../out.txt').read()\n", []),
        ("open('data/x.bin')\nopen(sys.argv[1])\n", []),
    ],
)
def test_what_is_read_outside_of_the_folder_is_said(script, outside, tmp_path):
    folder = open_folder(write_folder(tmp_path / "folder", {"train_gpt.py": HEAD + script}))
    texts = [finding.text for finding in judge_code(folder)[1] if finding.rule == "code-outside-file"]
    assert texts == [f"reads {name}, outside of the folder; it is not judged" for name in outside]


@pytest.mark.parametrize("way", READ)
def test_what_is_read_counts_and_what_may_be_is_said(way, tmp_path):
    source, counted, possible = READ[way]
    folder = open_folder(write_folder(tmp_path / "folder", {**FILES, "train_gpt.py": HEAD + source}))
    facts, findings = judge_code(folder)
    assert {file.name for file in facts.files if file.counts} == {"train_gpt.py", *counted}
    said = [finding.values["files"] for finding in findings if finding.rule == "code-possible-file"]
    assert {name for names in said for name in names} == possible == {name for name, _ in facts.shipped.possible}


def test_a_listing_after_too_much_work_is_not_passed_over(tmp_path):
    work = "y = [a + b for a in range(400) for b in range(400)]\n" * 3
    script = HEAD + work + "for n in os.listdir('w'):\n    np.load('w/' + n)\n"
    _, findings = judge_code(open_folder(write_folder(tmp_path / "folder", {**FILES, "train_gpt.py": script})))
    (finding,) = [finding for finding in findings if finding.rule == "code-too-large"]
    assert (finding.level.value, finding.place) == ("warning", "train_gpt.py")
    assert "it computes more than is looked at" in finding.text


def test_packed_text_that_is_found_is_no_document(tmp_path):
    script = HEAD + "for p in here.iterdir():\n    p.read_text()\n"
    files = {"train_gpt.py": script, "README.md": "# Words\n", "notes.md": "c9fK2" * 2000}
    facts, _ = judge_code(open_folder(write_folder(tmp_path / "folder", files)))
    assert [file.name for file in facts.files if file.counts] == ["train_gpt.py", "notes.md"]


@pytest.mark.parametrize("kilobytes, level, words", [(100, "pass", "below"), (300, "finding", "over")])
def test_the_total_with_what_may_be_read_is_told(kilobytes, level, words, tmp_path):
    script, half = HEAD + "np.load(glob.glob('*.npz')[0])\n", bytes(kilobytes * 500)
    log = f"Serialized model int8+zlib: {15_800_000 - len(script)} bytes\n"
    log += "Total submission size int8+zlib: 15800000 bytes\n"
    files = {"train_gpt.py": script, "a.npz": half, "b.npz": half, "train.log": log, "submission.json": "{}"}
    judgement = judge_folder(write_folder(tmp_path / "folder", files))
    shipped = [finding for finding in judgement.findings if finding.rule == "bytes-as-shipped"]
    assert [finding.level.value for finding in shipped] == [level]
    told = f"with the {1000 * kilobytes:,} bytes of files that it may read {15_800_000 + 1000 * kilobytes:,}, 100,000 "
    assert shipped[0].text.endswith(f"{told}{words} the cap")
    assert shipped[0].values["with_possible"] == 15_800_000 + 1000 * kilobytes


NAMES = st.lists(st.text("ab.*", min_size=1, max_size=3), min_size=1, max_size=3).map("/".join)


@given(st.lists(NAMES, max_size=6, unique=True), st.lists(st.sampled_from(["*", "a*", "**", "?", "b"]), max_size=20))
def test_a_pattern_finds_only_what_is_there(files, parts):
    found = matching_files(lambda folder: sorted(files), "/".join(["*", *parts]), recursive=True)
    assert not isinstance(found, Found) or (set(found.paths) <= set(files) and len(parts) < MOST_PARTS)
