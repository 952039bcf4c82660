"""What can set one family of gated decoders apart from another: the record that `llama_families` fills in.

Strategy: every point of difference is a field with the value that Llama has, so that a family says only where it
differs. What belongs together (where norms stand, which layers have a window) is one enumeration.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from .biases import Rule


class Norms(enum.Enum):
    """Where the halves of a layer are normalized: what they read, what they give, or both; or what they read side by
    side is normalized once.
    """

    BEFORE = "before"
    AFTER = "after"
    BOTH = "both"
    ONCE = "once"


class HeadNorms(enum.Enum):
    """What of queries and keys is normalized: nothing, each head, all heads as one, or each head by a gain of its
    own.
    """

    NONE = "none"
    EACH = "each"
    WHOLE = "whole"
    OWN = "own"


class Windows(enum.Enum):
    """Which layers see a window of the past, unless `layer_types` says so."""

    NONE = "none"
    ALL = "all"
    LATE = "late"  # from max_window_layers on, if use_sliding_window says so
    PERIODIC = "periodic"  # all but every n-th
    UNROTATED = "unrotated"  # those without rotation, if use_sliding_window says so


class Unrotated(enum.Enum):
    """Which layers do not rotate queries and keys."""

    NONE = "none"
    LISTED = "listed"  # by no_rope_layers, or every n-th
    FULL = "full"  # those that see everything
    FULL_OF_TWO = "full of two"  # likewise, where others have a window
    UNLESS_SAID = "unless said"  # all, unless position_embedding_type is "rope"


class States(enum.Enum):
    """Which layers carry a state, by a mixer of Mamba-2 or of a gated delta net."""

    NONE = "none"
    IN_PLACE = "in place"  # of attention, those that layer_types names, or all
    BESIDE = "beside"  # attention, all
    DELTA = "delta"  # a delta net in place of attention, where layer_types says so, or all but every n-th


NOTHING: Mapping[str, str] = MappingProxyType({})
NO_BIASES: Mapping[str, Rule] = MappingProxyType(
    dict.fromkeys(("query", "key", "value", "output", "gate", "up", "down"), False)
)


@dataclass(frozen=True, slots=True)
class Family:
    """What the code of a model type does.

    layer_norms : norms subtract the mean;  gainless : they have no gains;  shifted_gains : gains are stored less 1
    rotated_first : queries and keys are rotated and then normalized
    bare_first : attention of the first layer reads the stream as it is
    scaled_embedding : the embedding is multiplied by the root of the stream's width;  embedding_norm : or normalized
    scaled_by_depth : what is added to the stream and what the head reads is scaled by MiniCPM's numbers
    interleaved : rotations turn neighbouring elements, not those of two halves;  backward : the other way round
    names : what parts of a layer are called otherwise than in Llama, "" for those that it has not; parts of one name
        stand in one tensor;  singles : likewise of tensors outside the layers, by field of `Naming`
    optional_parts : by hyperparameter that says whether they are there
    keys : what its configuration calls hyperparameters, "" for what it says of other things
    only_named : names are those of a better known family, so that only a configuration tells it
    period : of Windows.PERIODIC, where the first of so many layers sees everything (period_first), or the last;
        period_key : what its configuration may call it;  half_window : the window is half of what it says
    local_rotation : layers with a window turn by a base of their own, which nothing scales; local_base : assumed for
        it (None: the same base);  local_scaling : what an older file says of scaling is of both kinds of layers
    convolution : some layers have a short convolution in place of attention;  states : some carry a state
    varied : every layer has a number of heads and a width of its MLP of its own
    ntk_alpha : rotations of kind "dynamic" with an alpha have another base, whatever the length
    activation_key : what its configuration calls the activation;  tanh_gelu : "gelu" means its tanh form here
    yarn_is_longrope : rotations that its older files call "yarn" are those of "longrope"
    trained_length : assumed where a scaling needs it and nobody tells it (None: the longest length)
    biases : which maps have a bias, by part
    assumes : by hyperparameter that not every family has, what its code assumes
    rope_theta, epsilon, activation, head_dim, bos_token_id, sliding_window, max_window_layers : likewise, of
        hyperparameters that all have; a sliding_window of 0 is none
    """

    norms: Norms = Norms.BEFORE
    head_norms: HeadNorms = HeadNorms.NONE
    layer_norms: bool = False
    gainless: bool = False
    shifted_gains: bool = False
    rotated_first: bool = False
    bare_first: bool = False
    scaled_embedding: bool = False
    embedding_norm: bool = False
    scaled_by_depth: bool = False
    interleaved: bool = False
    backward: bool = False
    names: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    singles: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    optional_parts: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    keys: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    only_named: bool = False
    windows: Windows = Windows.NONE
    period: int = 0
    period_first: bool = False
    period_key: str = ""
    half_window: bool = False
    unrotated: Unrotated = Unrotated.NONE
    local_rotation: bool = False
    local_base: float | None = None
    local_scaling: bool = False
    convolution: bool = False
    states: States = States.NONE
    varied: bool = False
    ntk_alpha: bool = False
    activation_key: str = "hidden_act"
    tanh_gelu: bool = False
    yarn_is_longrope: bool = False
    trained_length: int | None = None
    biases: Mapping[str, Rule] = field(default_factory=lambda: NO_BIASES)
    rope_theta: float = 10_000.0
    epsilon: float = 1e-6
    activation: str = "silu"
    assumes: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    head_dim: int | None = None
    bos_token_id: int | None = None
    sliding_window: int = 4096
    max_window_layers: int = 28

    @property
    def optional(self) -> tuple[str, ...]:
        """The hyperparameters that not every family has, but for those of states."""
        windowed = ("sliding_window", "sliding_layers") if self.windows is not Windows.NONE else ()
        local = ("rope_local_base_freq",) if self.local_rotation else ()
        unrotated = ("unrotated_layers",) if self.unrotated is not Unrotated.NONE else ()
        convolution = ("conv_layers",) if self.convolution else ()
        varied = ("layer_heads", "layer_key_heads", "layer_widths") if self.varied else ()
        return (*windowed, *local, *unrotated, *convolution, *varied, *self.assumes)
