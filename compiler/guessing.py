"""How a model compares with guessing on a little of its calibration text: what its predictions know, and whether they
are right, which tells a checkpoint that was read as another model, or text of another tokenizer.

Strategy: one pass over a few hundred tokens. A loss counts as worse than guessing only when it is so by more than its
standard error explains, since untrained models guess.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from .job import CompileJob
from .model.torch_executor import TorchExecutor
from .statistics.calibration import calibration_sequences

TOKENS = 256
ERRORS = 3.0  # standard errors by which a loss is beyond that of guessing


@dataclass(frozen=True, slots=True)
class Guessing:
    """In nats a token. uniform : loss of the same probability for every token;  entropy : of the model's predictions
    loss : of the text's tokens, and its standard error;  vocabulary : tokens
    """

    entropy: float
    loss: float
    loss_error: float
    vocabulary: int

    @property
    def uniform(self) -> float:
        return math.log(self.vocabulary)

    def notes(self) -> list[str]:
        """What is to be said of a model that guesses worse than it would by the same probability for every token."""
        if not self.loss - ERRORS * self.loss_error > self.uniform:
            return []
        bits, even = (nats / math.log(2) for nats in (self.loss, self.uniform))
        return [
            f"worse than guessing on it: {bits:.2f} bits a token, where the same probability for each of "
            f"{self.vocabulary:,} tokens gives {even:.2f}; probably another architecture or tokenizer"
        ]


def compared_with_guessing(job: CompileJob) -> Guessing:
    """The model of a job on the beginning of a sequence or a few of its text."""
    program, device = job.model.program, job.device
    length = min(program.sequence_length, TOKENS, len(job.text))
    tokens = torch.from_numpy(calibration_sequences(job.text, length, TOKENS)).to(device)
    tensors = {i: torch.from_numpy(t.values).to(device) for i, t in enumerate(job.model.tensors)}
    with torch.no_grad():
        logs = TorchExecutor(program, tensors).forward(tokens).float().log_softmax(-1)
        entropy = torch.special.entr(logs.exp()).sum(-1, dtype=torch.float64).mean()
        losses = -logs[:, :-1].gather(-1, tokens[:, 1:, None]).double().flatten()
    mean, error = (losses.mean(), losses.std() / len(losses) ** 0.5) if len(losses) > 1 else (0.0, 0.0)
    return Guessing(float(entropy), float(mean), float(error), program.vocabulary_size)
