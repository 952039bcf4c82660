"""head-to-depth: does a smaller vocabulary path pay for a wider trunk of shared depth, at equal bytes of the artifact?

Strategy: small models of every kind are trained on the same text for the same compute, compiled to the same
cap by bytecap itself and scored in bits per byte of the same documents. Controls take the exchange apart: the
smaller head alone, the shared trunk alone.
"""

from __future__ import annotations

from dataclasses import asdict

from ..findings import Findings
from ..inputs import Inputs
from .arms import DepthOptions
from .findings import LEAST_GAIN, SAVED_AS_EXPECTED, SAVED_TOO_LITTLE, depth_chart, depth_observations, depth_tables


class HeadToDepth:
    """The second thesis: the head as a donor of bytes, a recurrent trunk as their recipient."""

    name = "head-to-depth"
    thesis = (
        "At equal artifact bytes, shrinking the tokenizer and the head and spending the saved bytes on a wider trunk "
        "of shared depth gives fewer bits per byte than the baseline."
    )
    supports = (
        "a smaller or factorized head with a wider shared trunk is better than the baseline, its whole interval "
        "below 0",
        "the small vocabulary's exchange is better in spite of its longer sequences",
        f"the head takes at least {SAVED_AS_EXPECTED} of the bytes in the artifact that its share of the weights lets "
        "expect",
        "the wider shared trunk beats finer steps of the same trunk, with the same head",
    )
    falsifies = (
        f"no exchange gains more than {LEAST_GAIN:g} mBPB: its whole interval is above that",
        "the small vocabulary's longer sequences erase the gain",
        f"the head takes at most {SAVED_TOO_LITTLE} of the expected bytes, so that there is little to save",
        f"the wider shared trunk gains no more than {LEAST_GAIN:g} mBPB over finer steps, with either head",
    )

    def run(self, inputs: Inputs) -> Findings:
        """Train, compile and score every arm.

        DataError for missing inputs, unknown options, text that is too small or overlaps.
        """
        inputs.require(self.name, "training", "evaluation")
        options = DepthOptions(**inputs.chosen(**asdict(DepthOptions())))
        from .study import DepthStudy

        study = DepthStudy(inputs, options)
        results = study.measure()
        known = {result.arm.name: result for result in results}
        settings = asdict(options) | {
            "cap": study.cap,
            "flops": study.flops,
            "evaluated_documents": len(study.evaluated),
            "evaluated_bytes": int(results[0].scores[0].bytes.sum()),
        }
        return Findings(depth_observations(known), depth_tables(results, study.cap), [depth_chart(results)], settings)
