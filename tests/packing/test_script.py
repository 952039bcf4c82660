"""The script of an artifact: it does what the modules do, has only what is needed, and is small enough."""

from __future__ import annotations

import ast

import numpy as np
import torch
from hypothesis import given, settings
from random_programs import RandomProgram, programs

from bytecap.files.code.minified_source import tight_source
from bytecap.format.artifact import read_artifact
from bytecap.format.assembly import assemble_artifact
from bytecap.format.program.operations import OPERATIONS
from bytecap.format.tensors.sources import TensorSource
from bytecap.format.tensors.terms import RawValues
from bytecap.packing.decoding_needs import stored_plainly
from bytecap.packing.folder import LARGEST_SCRIPT
from bytecap.packing.kernel_text import ENTRIES, kernel_text
from bytecap.packing.renaming import renamed
from bytecap.packing.script import LOADER, MODULES, START, packed_script, readable_script, running_tables
from bytecap.packing.shaking import joined, shaken
from bytecap.runtime.interpreter import Interpreter

HANDED_OVER = "print(decode_artifact, Model)"


def artifact_of(case: RandomProgram) -> bytes:
    """Its tensors as they are."""
    tensors = [
        TensorSource(f"t{index}", values.shape, "float32", (RawValues(values, "float32"),))
        for index, values in enumerate(case.tensors)
    ]
    return stored_plainly(assemble_artifact(case.program, tensors, {}))


@settings(max_examples=5, deadline=None)
@given(programs())
def test_a_shaken_and_renamed_script_computes_what_the_runtime_computes(case):
    data, handed = artifact_of(case), []
    small = tight_source(renamed(ast.parse(readable_script(read_artifact(data), {}, HANDED_OVER))))
    exec(compile(small, "script", "exec"), {"print": lambda *values: handed.extend(values), "__name__": "script"})
    decode_artifact, model_class = handed
    (_, _, boundary), instructions, arrays, _ = decode_artifact(data, "python")
    model = model_class(instructions, [torch.from_numpy(array.copy()) for array in arrays], boundary)
    expected = Interpreter(case.program, case.tensors).token_losses(case.tokens)
    np.testing.assert_allclose(model.losses(torch.from_numpy(case.tokens)).numpy(), expected, rtol=2e-4, atol=2e-4)


def test_a_script_has_only_the_operations_of_its_program(small_job):
    artifact = read_artifact(small_job.artifact.read_bytes())
    text, used = readable_script(artifact, {}), running_tables(artifact.program)["OPERATIONS"]
    assert 0 < len(used) < len(OPERATIONS)
    for operation in OPERATIONS:
        name = f"run_{operation.name.replace('-', '_')}"
        needed = operation.wire_id in used or (name == "run_rotate" and 11 in used)
        assert (f"def {name}(" in text) == needed, name
    assert '"""' not in text
    assert packed_script(text) == packed_script(text)


def test_even_a_script_of_everything_is_small_enough():
    sources = [(LOADER / f"{name}.py").read_text(encoding="utf-8") for name in MODULES]
    tree = shaken(joined([*sources, START], {"KERNELS": kernel_text(sorted(ENTRIES))}), {})
    assert len(packed_script(ast.unparse(ast.fix_missing_locations(tree)))) <= LARGEST_SCRIPT


def test_the_script_of_a_plain_model_is_smaller(small_job):
    script = packed_script(readable_script(read_artifact(small_job.artifact.read_bytes()), {}))
    assert len(script) <= 14_000
