"""Which files hold the weights of a checkpoint: one file, the shards of one, or those of a folder as
Hugging Face writes it.

Strategy: names only, nothing is read but an index. Of a folder the usual names count, in the order in
which Hugging Face looks for them; another name counts when it is the only one. A shard stands for all
of its siblings.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from ...errors import CheckpointError
from ...files.listing import listed
from ...files.nested_text import parse_json
from ...files.pipes import pipe_refused
from .configuration import configuration_names
from .parted import OF_ZERO, refuse_parted_file, what_is_parted

INDEX_SUFFIX = ".index.json"
USUAL_NAMES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "consolidated.00.pth",
)
WEIGHT_SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".ptz", ".npz", ".gguf")
NOT_WEIGHTS = re.compile(
    rf"optim.*|scheduler.*|rng_state.*|random_states.*|training_args.*|adapter_model.*|scaler.*|{OF_ZERO.pattern}"
)
ORBAX = "they are those of Orbax (JAX); save the restored arrays by names as .safetensors or .npz"
FOREIGN = (  # names of other programs' weights, and what to do with them
    ("flax_model*.msgpack", "flax_model.msgpack is a Flax model; save it by save_pretrained of its PyTorch class"),
    ("tf_model*.h5", "tf_model.h5 is a TensorFlow model; save it by save_pretrained of its PyTorch class"),
    ("*.data-?????-of-?????", "they are those of a TensorFlow checkpoint; save them by names as .safetensors or .npz"),
    ("manifest.ocdbt", ORBAX),
    ("_CHECKPOINT_METADATA", ORBAX),
    ("*.onnx", "an ONNX graph is a program, not a checkpoint; give what it was exported from"),
    ("openvino_model.xml", "an OpenVINO graph is a program, not a checkpoint; give what it was exported from"),
    ("rust_model.ot", "rust_model.ot is of rust-bert; give the PyTorch model that it was made of"),
    ("*.keras", "a .keras file holds Keras layers; save its weights by names as .safetensors or .npz"),
)
SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.\w+)")
ADAPTER = "adapter_config.json"


HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def not_there(path: Path) -> str:
    """What is said of a path at which nothing is; it may be a name on the Hugging Face hub."""
    name = path.as_posix()
    if HUB_NAME.fullmatch(name) and not path.parent.exists():
        short = name.split("/")[1]
        return (
            f"{name} is no file or folder here; if it is a model of the Hugging Face hub, download it first, with "
            f"`hf download {name} --local-dir {short}`, and give the folder {short}"
        )
    return f"{path} does not exist"


def weight_files(path: Path) -> list[Path]:
    """The files to read, in order; `path` may be a file, one of several shards, an index or a folder.

    Raises CheckpointError for a pipe, a shard without its siblings, an index that is none, and a folder without weights
    or with several sets of them.
    """
    if not path.exists():
        raise CheckpointError(not_there(path))
    if refused := pipe_refused(path):
        raise CheckpointError(refused)
    if path.is_dir():
        return _files_of_folder(path)
    refuse_parted_file(path)
    if path.name.endswith(INDEX_SUFFIX):
        return _files_of_index(path)
    match = SHARD.fullmatch(path.name)
    return [path] if match is None else _siblings(path, match)


def source_files(path: Path) -> list[Path]:
    """Every file that tells something of a checkpoint: its weights, and configurations beside them."""
    files = weight_files(path)
    beside = (files[0].parent / name for name in configuration_names(files[0]))
    return [*files, *(each for each in beside if each.is_file())]


def _files_of_folder(folder: Path) -> list[Path]:
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    usual = next((name for name in USUAL_NAMES if name in names), None)
    if usual is not None:
        return weight_files(folder / usual)
    if ADAPTER in names:
        raise CheckpointError(f"{folder} {an_adapter(_base_of(folder / ADAPTER))}")
    found = [name for name in names if name.endswith(WEIGHT_SUFFIXES) and not NOT_WEIGHTS.fullmatch(name)]
    sets = {(match["stem"], match["count"]) if (match := SHARD.fullmatch(name)) else name for name in found}
    if len(sets) == 1:
        return weight_files(folder / found[0])
    if parted := what_is_parted(folder, names):
        raise CheckpointError(parted)
    if not sets:
        raise CheckpointError(_without_weights(folder, names))
    raise CheckpointError(f"{folder} holds several checkpoints ({listed(found)}); give one of these files")


def _without_weights(folder: Path, names: Sequence[str]) -> str:
    """What is said of a folder in which no file is of weights: which folders in it have some, else what is there."""
    inner = [entry for entry in sorted(folder.iterdir(), key=_by_numbers) if entry.is_dir()]
    having = [entry.name for entry in inner if _has_weights(entry)]
    if having:
        return f"{folder} holds no weights itself; give one of the folders in it: {listed(having)}"
    foreign = next((what for pattern, what in FOREIGN if any(fnmatchcase(name, pattern) for name in names)), "")
    if foreign:
        return f"{folder} holds no weights that are read here: {foreign}"
    all_names = [*names, *(f"{entry.name}/" for entry in inner)]
    there = f"there are {listed(all_names)}" if all_names else "it is empty"
    return f"{folder} holds no weights ({there}); a checkpoint's folder has {USUAL_NAMES[0]}"


def _by_numbers(path: Path) -> list[tuple[int, str]]:
    """So that checkpoint-500 comes before checkpoint-1000."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d{1,9})", path.name)]


def _has_weights(folder: Path) -> bool:
    """Whether files in a folder look like weights or their parts."""
    try:
        names = [entry.name for entry in folder.iterdir() if entry.is_file()]
    except OSError:
        return False
    usual = any(name in USUAL_NAMES or OF_ZERO.fullmatch(name) or name.endswith(".distcp") for name in names)
    return usual or any(name.endswith(WEIGHT_SUFFIXES) and not NOT_WEIGHTS.fullmatch(name) for name in names)


def adapters_beside(path: Path) -> tuple[str, ...]:
    """What is said of an adapter in the folder of a model, which is not added to it."""
    if not path.is_dir() or not (path / ADAPTER).is_file():
        return ()
    return (
        f"{ADAPTER} lies beside the weights: an adapter, which is not part of what is read; merge it into them "
        "(merge_and_unload of peft) if it belongs to the model",
    )


def an_adapter(base: str = "") -> str:
    """What is said of an adapter: changes to a model, of which the model itself is not a part."""
    return (
        f"holds an adapter (LoRA){base}, not a whole model; merge it into its base "
        "(merge_and_unload of peft), save that and give its folder"
    )


def _base_of(path: Path) -> str:
    """` of NAME`, where the adapter says whose it is."""
    try:
        name = parse_json(path.read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError):
        return ""
    return f" of {name}" if isinstance(name, str) and name else ""


def _files_of_index(path: Path) -> list[Path]:
    try:
        named = parse_json(path.read_text(encoding="utf-8"))["weight_map"].values()
        names = sorted({Path(name).name for name in named})
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{path} is not an index of shards: it has no weight_map; copy it again") from error
    if not names:
        raise CheckpointError(f"{path} is an index of no shards: its weight_map is empty; give the file of weights")
    return _present(path, f"{path} names {len(names)} shards", [path.parent / name for name in names])


def _siblings(path: Path, match: re.Match[str]) -> list[Path]:
    count = int(match["count"])
    files = [path.with_name(f"{match['stem']}-{k:05}-of-{count:05}{match['suffix']}") for k in range(1, count + 1)]
    return _present(path, f"{path} is shard {int(match['number'])} of {count}", files)


def _present(path: Path, which: str, files: list[Path]) -> list[Path]:
    missing = [file.name for file in files if not _is_there(file)]
    if missing:
        raise CheckpointError(f"{which}, of which {listed(missing)} is not in {path.parent}; put all into one folder")
    return files


def _is_there(file: Path) -> bool:
    """Whether a file of that name is there; a name that no folder can hold is not."""
    try:
        return file.is_file()
    except OSError:
        return False
