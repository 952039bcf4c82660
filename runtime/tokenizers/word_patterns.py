"""The regular expressions by which byte-level tokenizers cut a text into words before they merge, by family.

Strategy: each is written once and named by what it does. Files of ranks and GGUF files name a family, not a pattern.
Sources: GPT-2's encoder.py, tiktoken_ext/openai_public.py, and the tokenizer.json files of the families.
"""

from __future__ import annotations

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
ENDINGS = r"\s+(?!\S)|\s+"

GPT2 = rf"'s|'t|'re|'ve|'m|'ll|'d| ?\p{{L}}+| ?\p{{N}}+| ?[^\s\p{{L}}\p{{N}}]+|{ENDINGS}"
SINGLE_DIGITS = r"\p{N}"  # before GPT2: each digit is a word


def letters_and_digits(most_digits: int) -> str:
    """The pattern of cl100k and its followers: numbers in groups of at most so many digits."""
    digits = r"\p{N}" if most_digits == 1 else rf"\p{{N}}{{1,{most_digits}}}"
    return rf"{CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|{ENDINGS}"


def by_case(contractions: bool, most_digits: int) -> str:
    """The pattern of o200k and tekken: a word is cut where its letters turn from small to capital."""
    upper, lower = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
    after = CONTRACTIONS + "?" if contractions else ""
    digits = r"\p{N}" if most_digits == 1 else rf"\p{{N}}{{1,{most_digits}}}"
    return (
        rf"[^\r\n\p{{L}}\p{{N}}]?{upper}*{lower}+{after}|[^\r\n\p{{L}}\p{{N}}]?{upper}+{lower}*{after}|{digits}"
        rf"| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|\s*[\r\n]+|{ENDINGS}"
    )


CL100K = letters_and_digits(3)
QWEN2 = letters_and_digits(1)
O200K = by_case(contractions=True, most_digits=3)
TEKKEN = by_case(contractions=False, most_digits=1)
FALCON = (r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]")

LLAMA3_NAMES = ("llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral", "dbrx", "smaug-bpe")
WHOLE_WORD_NAMES = (
    "llama-bpe",
    "llama3",
    "llama-v3",
    "falcon3",
    "pixtral",
    "tekken",
)  # words that are pieces stay whole

# tokenizer.ggml.pre of a GGUF file: the patterns, one after the other.
GGUF_PATTERNS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("gpt-2", "phi-2", "mpt", "olmo", "jais", "gigachat", "jina-v2-code"), (GPT2,)),
    **dict.fromkeys(
        ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"), (SINGLE_DIGITS, GPT2)
    ),
    **dict.fromkeys(LLAMA3_NAMES, (CL100K,)),
    **dict.fromkeys(("qwen2", "stablelm2", "deepseek-r1-qwen", "megrez"), (QWEN2,)),
    **dict.fromkeys(("gpt-4o", "llama4"), (O200K,)),
    "tekken": (TEKKEN,),
    "falcon": FALCON,
}
