"""Where training reads the validation files is told; evaluation and training on scored text are not."""

from __future__ import annotations

import base64
import lzma

import pytest
from submission_folders import write_folder

from bytecap.files.code.python_source import read_python
from bytecap.files.code.validation_training import validation_training
from bytecap.submissions.judge import judge_folder

NAMED = "{} is made of the validation files"
FLOWS = "a loss on a batch of the validation files is propagated back"
STEP = "        loss = model(x, y)\n        loss.backward()\n        optimizer.step()\n"
TRAINS = {
    "files": (
        "class Hyperparameters:\n    train_files = os.path.join(data_path, 'fineweb_val_*.bin')\n",
        (2, NAMED.format("train_files")),
    ),
    "both": (
        "train_files = glob('fineweb_train_*.bin') + glob('fineweb_val_*.bin')\n",
        (1, NAMED.format("train_files")),
    ),
    "loader": ("def main():\n    train_loader = Loader(args.val_files, rank)\n", (2, NAMED.format("train_loader"))),
    "tokens": (
        "def main():\n    val_tokens = load(args.val_files)\n    train_tokens = val_tokens\n",
        (3, NAMED.format("train_tokens")),
    ),
    "calibration": ("calib_loader = Loader('data/val_000.bin')\n", (1, NAMED.format("calib_loader"))),
    "batches": (
        "def main():\n    feed = Loader(args.val_files)\n    for step in range(9):\n        x, y = feed.next_batch(8)\n"
        + STEP,
        (6, FLOWS),
    ),
    "next": (
        "def main():\n    feed = iter(Loader('d/fineweb_val_*.bin'))\n    while True:\n        x, y = next(feed)\n"
        "        out = model(x)\n        loss = cross_entropy(out, y)\n        (loss / 4).backward()\n",
        (7, FLOWS),
    ),
    "a loader that changes": (
        "def main():\n    feed = Loader(args.train_files)\n    x, y = feed.next_batch()\n    loss = model(x, y)\n"
        "    loss.backward()\n    feed = Loader(args.val_files)\n    while True:\n        x, y = feed.next_batch()\n"
        + STEP,
        (10, FLOWS),
    ),
    "a loop": ("def main():\n    feed = Loader(args.val_files)\n    for x, y in feed:\n" + STEP, (5, FLOWS)),
}
INNOCENT = {
    "usual": "def main():\n    train_loader = Loader(args.train_files)\n    val_tokens = load(args.val_files)\n"
    "    for step in range(9):\n        if step % 5 == 0:\n            val_loss = eval_val(model, val_tokens)\n"
    "        x, y = train_loader.next_batch(8)\n" + STEP,
    "evaluation": "def eval_val_ttt(args, model):\n    feed = Loader(args.val_files)\n    for x, y in feed:\n" + STEP,
    "scored first": "def run(args):\n    feed = Loader(args.val_files)\n    for x, y in feed:\n"
    "        with torch.no_grad():\n            total += model(x, y)\n" + STEP,
    "one of two": "calib_loader = Loader(args.val_files if source == 'val' else args.train_files)\n",
    "pairs": "train_files, val_files = glob('fineweb_train_*.bin'), glob('fineweb_val_*.bin')\n",
    "numbers": "train_batch_tokens = val_batch_tokens\ntrain_seq_len = val_seq_len\n",
    "a slice": "def adapt(val_tokens):\n    train_tokens = val_tokens[:n]\n",
    "values": "def main():\n    for values in list_of_values:\n        loss = f(values)\n        loss.backward()\n",
}


@pytest.mark.parametrize("case", TRAINS)
def test_training_on_the_validation_files_is_told(case):
    source, place = TRAINS[case]
    assert [(each.line, each.what) for each in validation_training(read_python(source).tree)] == [place]


@pytest.mark.parametrize("case", INNOCENT)
def test_others_are_not_told(case):
    assert validation_training(read_python(INNOCENT[case]).tree) == []


def test_it_is_found_in_what_is_packed_and_fails_nobody(tmp_path):
    packed = base64.b85encode(lzma.compress(TRAINS["batches"][0].encode())).decode()
    script = f"import lzma, base64\nexec(lzma.decompress(base64.b85decode('{packed}')))\n"
    files = {"train_gpt.py": script, "README.md": "# Non-record\n"}
    judgement = judge_folder(write_folder(tmp_path / "folder", files))
    (finding,) = [finding for finding in judgement.findings if finding.rule == "code-validation-data"]
    assert (finding.level.value, finding.place) == ("finding", "train_gpt.py: payload, line 6")
    assert judgement.verdict == "pass"
