"""A config.json that names other code than transformers' is read as its model type, and that is said."""

from __future__ import annotations

import pytest
from golden_logits import FOLDER, SOURCE, checkpoint_of, golden_logits

from bytecap.compiler.checkpoints.configuration import Configuration
from bytecap.compiler.frontends import build_model
from bytecap.compiler.frontends.code_of_its_own import own_code

CLASSES = {  # as transformers writes them
    **{"llama": "LlamaForCausalLM", "gpt2": "GPT2LMHeadModel", "gpt_neox": "GPTNeoXForCausalLM"},
    **{"gemma3_text": "Gemma3ForCausalLM", "gemma3": "Gemma3ForConditionalGeneration", "opt": "OPTForCausalLM"},
    **{"gpt_bigcode": "GPTBigCodeForCausalLM", "stablelm": "StableLmForCausalLM", "smollm3": "SmolLM3ForCausalLM"},
    **{"phi3": "Phi3ForCausalLM", "gptj": "GPTJForCausalLM", "starcoder2": "Starcoder2ForCausalLM"},
}


@pytest.mark.parametrize("model_type", CLASSES)
def test_classes_of_transformers_are_its_own(model_type):
    assert own_code(Configuration({"model_type": model_type, "architectures": [CLASSES[model_type]]}, SOURCE)) == ()


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.json")))
def test_nothing_is_said_of_configurations_as_transformers_writes_them(name):
    assert own_code(Configuration(golden_logits(name).config, SOURCE)) == ()


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"auto_map": {"AutoModelForCausalLM": "modeling_x.XForCausalLM"}}, "'modeling_x.XForCausalLM' by auto_map"),
        ({"auto_map": {"AutoModel": "a--b.C"}, "architectures": ["MyLlama"]}, "'a--b.C' by auto_map"),
        ({"architectures": ["MyLlamaForCausalLM"]}, "'MyLlamaForCausalLM' by architectures"),
        ({"architectures": ["MyLlama"]}, "'MyLlama' by architectures"),
        ({"architectures": [3]}, "3 by architectures"),
    ],
)
def test_other_code_is_named(more, named):
    """The same tensors may compute something else there; nothing was said."""
    golden = golden_logits("llama")
    model = build_model(checkpoint_of(golden.state(), {**golden.config, **more}))
    assert model.notes == (
        f"{SOURCE} names code of its own, {named}, which is not run: the model is read as a 'llama' of transformers",
    )
    assert model.program == golden.model().program


@pytest.mark.parametrize(
    "more", [{}, {"auto_map": {"AutoTokenizer": ["x.T", None]}}, {"auto_map": None}, {"architectures": []}]
)
def test_what_names_no_code_of_a_model_says_nothing(more):
    golden = golden_logits("llama")
    assert not build_model(checkpoint_of(golden.state(), {**golden.config, **more})).notes
