"""The names of a GPT that somebody wrote: which tensor plays which part, told by the words that people use for them.

Strategy: the tensors in layers are those behind the one number under which an attention lies. A name there is cut into
words, and the words that say nothing (`proj`, `w`, `c`) are passed over; what is left says the part, beside the module
that it is in: `att.W_query`, `self_attn.q_proj` and `attention.wq` are all queries. What words do not say alone, as
`fc1`, `net.2` and `norm_2`, is told by the order of the numbers. Two tensors for one part, or a part without a tensor,
and nothing is found: a name is never guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .gpt_names import FUSED, JOINED, NO_NAMES, SPLIT, Naming
from .gpt_names import NORMS as NORMS_OF_A_LAYER
from .gpt_numbered_modules import with_words

IN_A_STACK = re.compile(r"(?P<before>(?:.*?\D)?)(?P<layer>\d{1,4})(?P<after>[./])(?P<inner>.+)")
BIAS_OF = {"gamma": "beta", "g": "b", "w": "b"}
GAINS, BIASES = "weight kernel scale gamma g w", "bias shift beta b"
ENDING = re.compile(rf"(?P<stem>.+?)(?P<ending>[./](?:{'|'.join(f'{GAINS} {BIASES}'.split())})|_(?:weight|bias))")
WORD, NUMBER = re.compile(r"[A-Z]?[a-z]+|\d{1,9}|[A-Z]+"), re.compile(r"\d{1,9}")
GLUED = {
    **{f"w{each}": ("w", each) for each in ("q", "k", "v", "o", "qkv")},
    **{f"{each}proj": (each, "proj") for each in ("q", "k", "v", "o", "out", "qkv", "up", "down", "gate")},
    **{f"{each}norm": (each, "norm") for each in ("layer", "rms", "l", "q", "k")},
    **{f"self{each}": ("self", each) for each in ("attn", "attention")},
    "feedforward": ("feed", "forward"),
    "unembedding": ("unembed",),
}
PASSED_OVER = set("w proj projection project c to linear lin fc layer layers dense matrix net fn block self".split())
ATTENTIONS = set("attn att attention sa mha mhsa msa multihead causal".split())
MLPS = set("mlp ff ffn ffwd feed forward".split())
NO_PARTS = set("cross memory encoder expert experts router".split())  # of other architectures
NORMS = set("norm ln rms norms lns rn".split())
MEANT = {
    **dict.fromkeys(("q", "query", "queries"), "query"),
    **dict.fromkeys(("k", "key", "keys"), "key"),
    **dict.fromkeys(("v", "value", "values", "val"), "value"),
    **dict.fromkeys(("qkv", "q k v", "query key value"), FUSED),
    **dict.fromkeys(("kv", "k v", "key value"), "key_value"),
}
OF_AN_MLP = {
    **dict.fromkeys(("up", "in", "h 4 h", "expand"), "up"),
    **dict.fromkeys(("down", "out", "output", "4 h h"), "down"),
    "gate": "gate",
    "gate up": "gate_up",
}
NECESSARY = ("table", *SPLIT, *NORMS_OF_A_LAYER, "output", "up", "down")
OF_ATTENTION = {FUSED, "key_value", *SPLIT, "output"}
UNDERSTOOD = {  # names whose words say a part
    "table": "tok_emb.weight",
    **{part: f"attn.{part}.weight" for part in (*SPLIT, "output")},
    **{part: f"mlp.{part}.weight" for part in ("up", "down")},
    **{part: f"{part}.weight" for part in NORMS_OF_A_LAYER},
}
TABLES, POSITIONS = set("tok token tokens emb embed embedding embeddings wte vocab word".split()), set("wpe pe".split())
HEADS = set("head lm unembed logits output out fc decoder classifier generator linear proj projection".split())
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class FoundNaming:
    """Stands for a naming that is read off the tensors of each checkpoint."""

    def fitting(self, names: Iterable[str]) -> Naming:
        return found_naming(names)


# What lies behind the numbers of one module: by stem, a weight's and a bias's name.
Stack = dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class _Found:
    """before, after : what stands before and after a layer's number;  parts : stems in a layer, by part
    singles : names outside the layers, by part;  outside : all names there
    """

    before: str
    after: str
    stack: Stack
    parts: Mapping[str, str]
    singles: Mapping[str, str]
    outside: Sequence[str]

    @property
    def missing(self) -> list[str]:
        """The parts that a GPT needs and no name, or more than one, says."""
        joined = (part for each, parts in JOINED.items() if each in self.parts for part in parts)
        found = {*self.parts, *self.singles, *joined}
        missing = [part for part in NECESSARY if part not in found]
        fewer_norms = missing in (["mlp_norm"], [*NORMS_OF_A_LAYER]) and {*self.parts.values()} == self.stack.keys()
        return [] if fewer_norms else missing


def found_naming(names: Iterable[str], shapes: Shapes | None = None) -> Naming:
    """The naming of tensors by these names, `NO_NAMES` where not every part that a GPT needs is found.

    shapes : by name, which tell of three numbered maps of an MLP which one leads back, and norms among maps
    """
    found = _found(names, shapes or {})
    if found is None or found.missing:
        return NO_NAMES
    parts, singles = found.parts, found.singles
    endings = {part: _endings(found.stack[stem]) for part, stem in parts.items()}
    endings |= {part: _endings(_pair(singles[part], found.outside)) for part in ("norm", "head") if part in singles}
    of = {part: singles.get(part, "") for part in ("table", "positions", "norm", "head")}
    by_number = "gate" in parts and "gate" not in _words(parts["gate"]) and parts["down"] > parts["up"]
    return Naming(**of, layers=found.before, after=found.after, parts=parts, endings=endings, numbered_gate=by_number)


def untold_parts(names: Iterable[str], shapes: Shapes | None = None) -> dict[str, str]:
    """By part that no name says, or more than one, of what is a GPT by its attention: a name that would say it."""
    found = _found(names, shapes or {})
    if found is None:
        return {}
    layer = f"{found.before}0{found.after}"
    return {part: UNDERSTOOD[part] if part == "table" else layer + UNDERSTOOD[part] for part in found.missing}


def _found(names: Iterable[str], shapes: Shapes) -> _Found | None:
    """What words say of tensors that lie, but for a few, in the layers of one module, each with an attention."""
    stacks: dict[tuple[str, str], Stack] = {}
    inside: dict[tuple[str, str], list[str]] = {}
    outside = []
    for name in names:
        match = IN_A_STACK.fullmatch(name)
        if match is None:
            outside.append(name)
            continue
        place = match["before"], match["after"]
        inside.setdefault(place, []).append(name)
        stem, kind, _ = _parsed(match["inner"])
        if kind:
            stacks.setdefault(place, {}).setdefault(stem, {})[kind] = name
    found = {place: parts for place, stack in stacks.items() if OF_ATTENTION & {*(parts := _parts(stack, shapes))}}
    if len(found) != 1:
        return None
    place, parts = next(iter(found.items()))
    outside += [name for other, of in inside.items() if other != place for name in of]
    return _Found(*place, stacks[place], parts, _singles(outside, shapes), outside)


def _parsed(name: str) -> tuple[str, str, str]:
    """(name without its ending, "weight" or "bias", the ending); kind and ending are empty where it has none."""
    match = ENDING.fullmatch(name)
    if match is None:
        return name, "", ""
    return match["stem"], "bias" if match["ending"][1:] in BIASES.split() else "weight", match["ending"]


def _pair(weight: str, names: Iterable[str]) -> dict[str, str]:
    """A weight and the bias beside it, where there is one."""
    stem = _parsed(weight)[0]
    bias = [name for name in names if _parsed(name)[:2] == (stem, "bias")]
    return {"weight": weight, **({"bias": bias[0]} if len(bias) == 1 else {})}


def _endings(names: Mapping[str, str]) -> tuple[str, str]:
    """How a weight and its bias end; of one that is not there, as goes with the other."""
    weight = _parsed(names["weight"])[2] if "weight" in names else ".weight"
    bias = _parsed(names["bias"])[2] if "bias" in names else weight[:1] + BIAS_OF.get(weight[1:], "bias")
    return weight, bias


def _words(token: str) -> list[str]:
    words = [word.lower() for word in WORD.findall(token)]
    return [each for word in words for each in GLUED.get(word, (word,))]


def _parts(stack: Stack, shapes: Shapes) -> dict[str, str]:
    """The stem of each part that exactly one tensor of the layers plays."""
    found: dict[str, list[str]] = {}
    numbered: dict[str, dict[int, list[str]]] = {"norm": {}, "mlp": {}}
    for stem, said in with_words(stack, lambda rest: _part(rest) in OF_ATTENTION).items():
        match _part(said):
            case ("mlp", _) if len(shapes.get(stack[stem].get("weight", ""), (0, 0))) == 1:
                found.setdefault("mlp_norm", []).append(stem)  # the first of the modules of a Sequential
            case (kind, number):
                numbered[kind].setdefault(number, []).append(stem)
            case part if part:
                found.setdefault(part, []).append(stem)
    norms, maps = (_in_order(of) for of in numbered.values())
    alone = [*norms, *found.pop("norm", [])]  # before attention and MLP side by side, or before each in turn
    if len(alone) == 1 and not {*NORMS_OF_A_LAYER} & found.keys():
        found["attention_norm"] = alone
    parts = {part: stems[0] for part, stems in found.items() if len(stems) == 1}
    more = dict(zip(NORMS_OF_A_LAYER, norms, strict=True)) if len(norms) == 2 else {}
    more |= _numbered_maps(stack, maps, "down" in parts, shapes)
    twice = more.keys() & found.keys()
    return {part: stem for part, stem in (parts | more).items() if part not in twice}


def _in_order(numbered: Mapping[int, Sequence[str]]) -> list[str]:
    """The stems by their numbers; none where two have the same, and which of them is meant is not told."""
    return [numbered[n][0] for n in sorted(numbered)] if all(len(of) == 1 for of in numbered.values()) else []


def _numbered_maps(stack: Stack, maps: Sequence[str], leads_back: bool, shapes: Shapes) -> dict[str, str]:
    """The parts of an MLP's numbered maps; `leads_back` where another one has a name for that."""
    if len(maps) == 2:
        first, second = (shapes.get(stack[stem].get("weight", ""), ()) for stem in maps)
        if len(first) == len(second) == 2 and first[1] != second[0] and first[0] == second[1]:  # numbered by its halves
            maps = maps[::-1]
        return dict(zip(("gate", "up") if leads_back else ("up", "down"), maps, strict=True))
    if len(maps) != 3 or leads_back:
        return {}
    first, second, third = (shapes.get(stack[stem].get("weight", "")) for stem in maps)
    between = first == third if len({first, second, third}) == 2 else "w" in _words(maps[0])
    return dict(zip(("gate", "down", "up") if between else ("gate", "up", "down"), maps, strict=True))


def _part(stem: str) -> str | tuple[str, int]:
    """The part that a stem in a layer says, or a kind of part and its number; "" where its words say none."""
    tokens = [token for token in re.split(r"[./]", stem) if token != "*"]
    number = int(tokens.pop()) if tokens and NUMBER.fullmatch(tokens[-1]) else None
    if not tokens:
        return ""
    words, leaf = [word for token in tokens for word in _words(token)], _words(tokens[-1])
    attends, is_mlp = bool(ATTENTIONS & {*words}), bool(MLPS & {*words})
    if NO_PARTS & {*words}:
        return ""
    if NORMS & {*leaf}:
        return _norm(leaf, number, attends, is_mlp)
    core = [word for word in leaf if word not in PASSED_OVER | ATTENTIONS | MLPS]
    said = " ".join(core)
    if not is_mlp and (part := _of_attention(leaf, said, attends)):
        return part
    if said in OF_AN_MLP and (is_mlp or said in ("up", "down", "gate", "gate up")):
        return OF_AN_MLP[said]
    numbers = [int(word) for word in core if word.isdecimal()]
    if attends or len(numbers) < len(core) or len(numbers) > 1:
        return ""
    if numbers or number is not None:
        return ("mlp", numbers[0] if numbers else number or 0) if is_mlp or numbers else ""
    return {"fc": "up", "proj": "down"}.get(leaf[-1], "") if is_mlp else ""


def _of_attention(leaf: Sequence[str], said: str, attends: bool) -> str:
    if said in MEANT:
        return MEANT[said]
    if [*leaf] == ["c", "attn"] or ([*leaf] == ["in", "proj"] and attends):
        return FUSED
    named = said in ("o", "out", "output") and (attends or "proj" in leaf or "w" in leaf)
    return "output" if named or (attends and not said and PASSED_OVER & {*leaf}) else ""


def _norm(leaf: Sequence[str], number: int | None, attends: bool, is_mlp: bool) -> str | tuple[str, int]:
    """The first or the second norm of a layer, its only one ("norm"), or that of its queries or its keys."""
    core = [word for word in leaf if word not in NORMS | ATTENTIONS | MLPS | {"layer", "self"}]
    if len(core) == 1 and MEANT.get(core[0]) in ("query", "key") and number is None and not is_mlp:
        return f"{MEANT[core[0]]}_norm"
    numbers = [int(word) for word in core if word.isdecimal()]
    if numbers or number is not None:
        return "" if len(numbers) < len(core) else ("norm", numbers[0] if numbers else number or 0)
    if core not in ([], ["pre"], ["input"], ["post"]):
        return ""
    if core == ["post"]:
        return "mlp_norm" if attends and not is_mlp else ""
    if attends != is_mlp:
        return "attention_norm" if attends else "mlp_norm"
    return "attention_norm" if core == ["input"] else "norm"


def _singles(names: Sequence[str], shapes: Shapes) -> dict[str, str]:
    """The names of the tensors outside the layers by part, of those that one tensor plays."""
    found: dict[str, list[str]] = {}
    for name in names:
        stem, kind, _ = _parsed(name)
        tokens = [token for token in re.split(r"[./]", stem) if not token.isdecimal()]
        if kind == "bias" or not tokens:
            continue
        words, leaf = {word for token in tokens for word in _words(token)}, {*_words(tokens[-1])}
        part = _single(words, leaf)
        if part == "head" and len(shapes.get(name, (0, 0))) == 1:  # of a Sequential that makes the logits
            part = "norm"
        if part:
            found.setdefault(part, []).append(name)
    return {part: of[0] for part, of in found.items() if len(of) == 1}


def _single(words: set[str], leaf: set[str]) -> str:
    if NORMS & leaf:
        return "" if words & (TABLES | {"pos", "pre", "input", "in", "q", "k"}) else "norm"
    if any(word.startswith("pos") for word in words) or POSITIONS & words:
        return "positions"
    if "unembed" in words or "head" in words:
        return "head"
    if (TABLES | {"encoder"}) & leaf or (TABLES & words and "table" in words):
        return "table"
    return "head" if HEADS & leaf else "table" if TABLES & words else ""
