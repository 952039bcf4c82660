"""Tokenizers of every kind that a model may come with, behind one class: encode a text, and say which bytes each
token stands for.
"""

from .byte_table import ByteTable
from .registry import find_tokenizer, load_tokenizer, tokenizer_files
from .sentencepiece_model import SentencepieceTokenizer
from .tokenizer import Tokenizer

__all__ = ["ByteTable", "SentencepieceTokenizer", "Tokenizer", "find_tokenizer", "load_tokenizer", "tokenizer_files"]
