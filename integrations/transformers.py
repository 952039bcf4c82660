"""A quantizer for transformers: after importing this module, `from_pretrained` reads folders with a .bcap.

    import bytecap.integrations.transformers
    model = AutoModelForCausalLM.from_pretrained(folder)

Strategy: such a folder's config.json has `quantization_config: {"quant_method": "bytecap", "artifact":
"model.bcap"}`, and its model.safetensors is a stand-in (`bytecap export --coded` writes both). Before
transformers reads any weight, the artifact is decoded into a temporary safetensors file, which takes the
stand-in's place in the list of files to read; so types, devices and tied weights are handled by
transformers as for any model. Extension points: register_quantizer and register_quantization_config.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from transformers.quantizers import HfQuantizer
from transformers.quantizers.auto import register_quantization_config, register_quantizer
from transformers.utils.quantization_config import QuantizationConfigMixin

from .. import interface
from ..errors import ArtifactError

METHOD = "bytecap"


@register_quantization_config(METHOD)
class BytecapConfig(QuantizationConfigMixin):
    """quantization_config of a folder.

    artifact : str    name of the artifact inside the folder
    """

    def __init__(self, artifact: str = "model.bcap", **others: Any) -> None:
        self.quant_method = METHOD
        self.artifact = artifact
        others.pop("quant_method", None)
        if others:
            raise ValueError(f"quantization_config of bytecap has no {', '.join(sorted(others))}; it has artifact")
        if Path(artifact).name != artifact or artifact in ("", ".", ".."):
            raise ValueError(f"artifact {artifact!r} is not the name of a file inside the folder")


@register_quantizer(METHOD)
class BytecapQuantizer(HfQuantizer):
    """Decodes the artifact before the weights are read; afterwards the model is an ordinary one in float."""

    requires_calibration = True  # from_pretrained cannot compile: that is `bytecap compile`

    def __init__(self, quantization_config: BytecapConfig, **others: Any) -> None:
        super().__init__(quantization_config, **others)
        self._decoded: tempfile.TemporaryDirectory | None = None

    def _process_model_before_weight_loading(self, model, checkpoint_files: list[str] | None = None, **_):
        """Put the decoded weights in the place of the stand-in. Raises OSError, or ValueError for a damaged one."""
        if not checkpoint_files:
            raise ValueError("bytecap's quantizer needs a folder with an artifact; from_pretrained named no files")
        artifact = Path(checkpoint_files[0]).parent / self.quantization_config.artifact
        self._decoded = tempfile.TemporaryDirectory(prefix="bytecap-")
        folder = Path(self._decoded.name) / "decoded"
        try:
            interface.export(artifact, folder, dtype="float32")
        except ArtifactError as error:
            raise ValueError(f"{artifact}: {error}") from error
        checkpoint_files[:] = [str(folder / "model.safetensors")]
        return model

    def _process_model_after_weight_loading(self, model, **_):
        """The decoded file is no longer needed."""
        if self._decoded is not None:
            self._decoded.cleanup()
            self._decoded = None
        return model

    def _dequantize(self, model, dtype=None):
        """The weights are ordinary ones already; `model.dequantize()` only forgets where they came from."""
        return model

    def is_serializable(self, *_: Any, **__: Any) -> bool:
        """`save_pretrained` would write the decoded weights under a configuration that says they are coded."""
        return False

    @property
    def is_trainable(self) -> bool:
        """The decoded weights are ordinary parameters."""
        return True
