"""From a checkpoint to a model: the frontends and how one is chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile

from ...errors import CheckpointError
from ...files.listing import listed
from ...files.nearest_name import known_names
from ...files.printable import shown_value
from ...format.program.program import Program
from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.configuration import META_MODEL_TYPE, Configuration, model_configuration
from ..checkpoints.rounded_twins import TIED, RoundedTwins
from ..model.model import Model, ModelTensor
from .agreement import CALLER
from .architecture_file import FRONTEND_KEY, PRESET_KEY, read_architecture
from .code_of_its_own import own_code
from .gpt_found_resolution import refuse_untold_parts
from .gpt_hyperparameters import FRONTEND_NAME as GPT
from .gpt_shapes import recognized_by_words
from .inexpressible import INEXPRESSIBLE
from .misfit import RENAMING, ignoring
from .registry import FRONTENDS, Frontend
from .rotation_tables import check_rotations, check_windows
from .third_party import add_frontend, built, known_frontends, recognized, remove_frontend, restored

__all__ = [
    "FRONTENDS",
    "Frontend",
    "add_frontend",
    "build_model",
    "known_frontends",
    "read_architecture",
    "remove_frontend",
    "restored_tensors",
]

# Of several models in a file, the one that is meant.
USUAL_MODULES = ("model.", "net.", "gpt.", "lm.", "student.", "transformer.", "_forward_module.")
MOST_MODULES = 4  # around a model
OF_ITS_OWN = (
    f'if it is a GPT or Llama of somebody\'s own code, say {FRONTEND_KEY} = "{GPT}" and family = "handwritten" in an '
    "--architecture file"
)
OF_THE_CALLER = "architecture: "  # begins what is wrong with an architecture file, or with what stands for one
MODEL_TYPE = "model_type"  # the key by which a Hugging Face config.json names an architecture


def build_model(checkpoint: Checkpoint, architecture: Mapping[str, object] | None = None) -> Model:
    """The program and tensors of a checkpoint.

    Hyperparameters come from `architecture` (as `read_architecture` gives it, a model's own `architecture`,
    or a Hugging Face config.json), else from the tensors' shapes and the configuration beside them, else
    from defaults, which the model lists. Raises CheckpointError when no frontend knows the tensor names,
    when hyperparameters are unknown or out of range, and, listing missing, unexpected and misshapen
    tensors, when the checkpoint does not fit.
    """
    try:
        return _build(checkpoint, dict(architecture or {}))
    except CheckpointError as error:
        path, message = str(checkpoint.path), str(error)
        if path in message or (architecture and message.startswith(OF_THE_CALLER)):
            raise
        told = checkpoint.configuration if message.startswith(OF_THE_CALLER) else None
        place = path if told is None else f"{path} ({told.source})"
        raise CheckpointError(f"{place}: {message.removeprefix(OF_THE_CALLER)}", argument=error.argument) from error


def _build(checkpoint: Checkpoint, architecture: Mapping[str, object]) -> Model:
    document, given = _document(checkpoint, architecture), architecture
    if MODEL_TYPE in architecture:
        checkpoint = replace(checkpoint, configuration=Configuration(architecture, "the architecture file"))
        architecture = {}
    checkpoint, architecture, source = _of_a_frontend(checkpoint, architecture)
    if checkpoint.twins is not None:
        checkpoint = _with_one_table(checkpoint, checkpoint.twins, given)
    checkpoint = _without_prefix(checkpoint)
    model = built(_chosen(checkpoint, architecture), checkpoint, architecture)
    check_rotations(checkpoint.rotations, model, checkpoint.path)
    check_windows(checkpoint.windows, model, checkpoint.path)
    told = {name: source if who == CALLER and source and name not in given else who for name, who in model.told.items()}
    configuration = model_configuration(checkpoint.configuration)
    notes = (*checkpoint.notes, *own_code(checkpoint.configuration), *model.notes)
    return replace(
        model, configuration=configuration, told=told, notes=notes, weights=checkpoint.weights, document=document
    )


def _of_a_frontend(
    checkpoint: Checkpoint, architecture: Mapping[str, object]
) -> tuple[Checkpoint, Mapping[str, object], str]:
    """The checkpoint, the architecture and who told it: a configuration that names its frontend, as that of an export
    does, is an architecture file, to which the caller's adds.
    """
    beside = checkpoint.configuration
    values: Mapping[str, object] = {} if beside is None else beside.values
    frontend = values.get(FRONTEND_KEY)
    if beside is None or PRESET_KEY in architecture or not isinstance(frontend, str):
        return checkpoint, architecture, ""
    if frontend not in known_frontends() or architecture.get(FRONTEND_KEY, frontend) != frontend:
        return checkpoint, architecture, ""
    return replace(checkpoint, configuration=None), {**values, **architecture}, beside.source


def _document(checkpoint: Checkpoint, architecture: Mapping[str, object]) -> Mapping[str, object] | None:
    """The architecture document: the caller's, unless that is a preset, else the one beside the weights."""
    if architecture and PRESET_KEY not in architecture:
        return dict(architecture)
    return None if checkpoint.configuration is None else checkpoint.configuration.document


def _with_one_table(checkpoint: Checkpoint, twins: RoundedTwins, said: Mapping[str, object]) -> Checkpoint:
    """The checkpoint with the finer of table and head for both, where nobody says that these are two."""
    tensors, configuration = checkpoint.tensors, checkpoint.configuration
    if said.get(TIED) is False or not {twins.table, twins.head} <= tensors.keys():
        return checkpoint
    others = {name: values for name, values in tensors.items() if name != twins.head}
    dtypes = {**checkpoint.dtypes, twins.table: checkpoint.dtypes[twins.finer]}
    if configuration is not None:
        configuration = replace(configuration, values={**configuration.values, TIED: True})
    found = {"configuration": configuration, "notes": (*checkpoint.notes, twins.note)}
    return replace(checkpoint, tensors=others | {twins.table: tensors[twins.finer]}, dtypes=dtypes, **found)


def _without_prefix(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with names that a frontend knows, where modules around the model have put theirs before all."""
    prefix = _prefix_before(list(checkpoint.tensors))
    if not prefix:
        return checkpoint
    tensors = {name.removeprefix(prefix): values for name, values in checkpoint.tensors.items()}
    dtypes = {name.removeprefix(prefix): dtype for name, dtype in checkpoint.dtypes.items()}
    note = f"all names without the {prefix!r} before them"
    return replace(checkpoint, tensors=tensors, dtypes=dtypes, notes=(*checkpoint.notes, note))


def _prefix_before(names: Sequence[str]) -> str:
    """The names of modules that stand before all names and without which frontends know more of these; or nothing."""
    parts = _modules_before(names)
    prefixes = ["".join(parts[:count]) for count in range(min(len(parts), MOST_MODULES) + 1)]
    return max(prefixes, key=lambda prefix: _known_as_they_are([name.removeprefix(prefix) for name in names]))


def _modules_before(names: Sequence[str]) -> list[str]:
    """The modules that all names begin with, each with its dot."""
    columns = zip(*(name.split(".")[:-1] for name in names), strict=False)
    return [f"{parts[0]}." for parts in takewhile(lambda parts: len(set(parts)) == 1, columns)]


def _known(names: Iterable[str]) -> int:
    """How many of the names that frontend knows which knows most, as they are or by their words."""
    names = list(names)
    return max(recognized_by_words(names), _known_as_they_are(names))


def _known_as_they_are(names: Sequence[str]) -> int:
    return max(_counts(names).values())


def _counts(names: Sequence[str]) -> dict[str, int]:
    """By frontend, how many of the names it knows as they are."""
    return {each.name: recognized(each, names) for each in known_frontends().values()}


def _refuse_several(checkpoint: Checkpoint) -> None:
    """CheckpointError where several models lie beside each other, each under a name of its own before its tensors'."""
    names = list(checkpoint.tensors)
    around = "".join(_modules_before(names))
    modules: dict[str, list[str]] = {}  # by the pattern of all of its names: what these are without the module
    for name in names:
        module, dot, rest = name.removeprefix(around).partition(".")
        modules.setdefault(f"{around}{module}.*" if dot else name, []).append(rest)
    models = [module for module, inside in modules.items() if 2 * _known_inside(inside) > len(inside)]
    if len(models) < 2:
        return
    usual = [module for module in models if module.removeprefix(around).removesuffix("*") in USUAL_MODULES]
    kept = [*usual, *models][0]
    raise CheckpointError(
        f"{checkpoint.path} holds {len(models)} models, {listed(models)}; leave out all but one, as here all but "
        f"{kept}: {ignoring(module for module in modules if module != kept)}"
    )


def _known_inside(names: Sequence[str]) -> int:
    prefix = _prefix_before(names)
    return _known([name.removeprefix(prefix) for name in names])


def restored_tensors(program: Program, tensors: Sequence[ModelTensor]) -> list[ModelTensor]:
    """The tensors of a program as its checkpoint had them: what the frontend rewrote is undone."""
    names = [tensor.name for tensor in tensors]
    counts, by_words = _counts(names), recognized_by_words({tensor.name: tensor.values for tensor in tensors})
    known = max(by_words, *counts.values())
    return restored(_best(counts, by_words, len(names)), program, tensors) if known else list(tensors)


def _named(name: object) -> Frontend:
    known = known_frontends()
    if not isinstance(name, str) or name not in known:
        way_out = known_names(str(name), sorted(known), "known are")
        raise CheckpointError(f"architecture: frontend {name!r} is unknown; {way_out}")
    return known[name]


def _chosen(checkpoint: Checkpoint, architecture: Mapping[str, object]) -> Frontend:
    """The frontend that the caller names, or the configuration's model type, or else that which knows most of
    the names.
    """
    if FRONTEND_KEY in architecture:
        return _named(architecture[FRONTEND_KEY])
    declared = None if checkpoint.configuration is None else checkpoint.configuration.values.get(MODEL_TYPE)
    names = list(checkpoint.tensors)
    counts, by_words = _counts(names), recognized_by_words(checkpoint.tensors)
    best = _best(counts, by_words, len(names), declared)
    known = max(counts[best.name], by_words if best.name == GPT else 0)
    few = 2 * known < len(checkpoint.tensors)  # such as lm_head.weight, which many architectures have
    if checkpoint.configuration is not None and (best.model_types or few):
        _check_model_type(checkpoint, checkpoint.configuration)
    if not known:
        _refuse_several(checkpoint)
    if not known or few:
        refuse_untold_parts(checkpoint)
    if not known:
        first = ", ".join(names[:3])
        raise CheckpointError(
            f"{checkpoint.path}: no frontend knows these tensors ({first}, ...); known architectures are "
            f"{', '.join(sorted(counts))}; {RENAMING} gives tensors the names of one of them"
        )
    return best


def _best(counts: Mapping[str, int], by_words: int, number: int, declared: object = None) -> Frontend:
    """The frontend of a `declared` model type that knows a name, else that which knows more of them than the others;
    but Gpt where more say by their words what they are, unless the other is of a package and knows nearly all.

    counts : by frontend, how many of so many names it knows as they are;  by_words : how many say what they are
    """

    def is_declared(each: Frontend) -> bool:
        known = counts[each.name]  # sizes that the file of another model has, too, were taken for Meta's
        return (
            known > 0
            and declared in each.model_types
            and (declared != META_MODEL_TYPE or 2 * known >= max(number, 2 * by_words))
        )

    frontends = known_frontends()
    best = max(frontends.values(), key=lambda each: (is_declared(each), counts[each.name]))
    of_a_package = best.name not in FRONTENDS and 4 * counts[best.name] >= 3 * number
    if is_declared(best) or of_a_package or by_words <= counts[best.name]:
        return best
    return FRONTENDS[GPT]


def _check_model_type(checkpoint: Checkpoint, configuration: Configuration) -> None:
    """Refuse a model type that no frontend knows: tensors of other architectures may have the same names."""
    found = configuration.values.get(MODEL_TYPE)
    types = sorted(name for frontend in known_frontends().values() for name in frontend.model_types)
    if found not in types and str(found) in INEXPRESSIBLE:  # a third party's frontend may know better
        raise CheckpointError(
            f"{checkpoint.path}: {configuration.source} says that this is a {found!r}: {INEXPRESSIBLE[str(found)]}"
        )
    if found is not None and found not in types:
        own = f"; {OF_ITS_OWN}" if recognized_by_words(checkpoint.tensors) else ""
        raise CheckpointError(
            f"{checkpoint.path}: {configuration.source} says that this is a {shown_value(found)}, which no frontend "
            f"knows; known are {', '.join(types)} and the tensors of parameter-golf{own}"
        )
