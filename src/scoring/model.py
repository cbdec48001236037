"""A bundle opened for scoring. The only module that imports onnxruntime."""

import os
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import onnxruntime

from common.errors import ModelRefusedError
from scoring import bundle as bundles
from scoring.bundle import Bundle

Floats = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]

SCORE_DECIMALS = 6
"""A score is a probability rounded to this: in policy, in the table, in sketches and in reports alike."""


class Model:
    """A model that answered two rows on opening, so what can be wrong with it has shown."""

    def __init__(self, bundle: Bundle, onnx_model: bytes) -> None:
        """Opens verified bytes; ModelRefusedError if ONNX Runtime will not, or the graph has another
        shape.
        """
        self.bundle = bundle
        self._session = _session(onnx_model)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise ModelRefusedError(
                f"model {bundle.version}: {len(inputs)} inputs, {len(outputs)} outputs, not one of each"
            )
        self._input, self._outputs = inputs[0].name, [outputs[0].name]
        self._try_two_rows()

    @classmethod
    def load(cls, bundle_json: bytes, onnx_model: bytes, expected_sha256: str | None = None) -> Self:
        """Verifies every hash, then opens; raises ModelRefusedError."""
        bundle = bundles.decode(bundle_json, expected_sha256)
        bundles.check_model(bundle, onnx_model)
        return cls(bundle, onnx_model)

    @property
    def version(self) -> str:
        """The bundle's version."""
        return self.bundle.version

    def raw_scores(self, features: Floats) -> Floats:
        """P(positive) of each row as the graph gives it; columns in the bundle's order, NaN where missing.
        ModelRefusedError if ONNX Runtime fails.
        """
        try:
            scores: Floats = self._session.run(self._outputs, {self._input: features})[0].reshape(-1)
        except Exception as error:  # ONNX Runtime's errors have no base of their own
            raise ModelRefusedError(f"model {self.version}: does not score: {_line(error)}") from error
        if len(scores) != len(features):
            raise ModelRefusedError(
                f"model {self.version}: gives {len(scores)} scores for {len(features)} rows, not one each"
            )
        return scores

    def scores(self, features: Floats) -> Scores:
        """P(positive) of each row to SCORE_DECIMALS; no rows, no call."""
        if not len(features):
            return np.empty(0)
        return rounded(self.raw_scores(np.ascontiguousarray(features, dtype=np.float32)))

    def medians(self) -> Floats:
        """The features' training medians, NaN where there was none."""
        return np.array([np.nan if f.median is None else f.median for f in self.bundle.features], np.float32)

    def _try_two_rows(self) -> None:
        scores = self.raw_scores(np.tile(self.medians(), (2, 1)))
        if scores.dtype != np.float32 or not ((scores >= 0.0) & (scores <= 1.0 + 1e-6)).all():
            raise ModelRefusedError(
                f"model {self.version}: two rows give {scores.dtype} {scores}, not a float32 probability each"
            )


def rounded(scores: Floats) -> Scores:
    """Raw scores as they are used and stored: within [0, 1], to SCORE_DECIMALS."""
    return np.round(np.clip(scores.astype(np.float64), 0.0, 1.0), SCORE_DECIMALS)


def _session(onnx_model: bytes) -> Any:
    """One thread, in sequence: a pool on a fraction of a core costs double (parallel mode: a
    thousandfold).
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = (
        onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    )  # halves the load time
    options.log_severity_level = 4
    # Otherwise a graph could have files beside the code read as its weights: they were never hashed.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    try:
        return onnxruntime.InferenceSession(onnx_model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no base of their own
        raise ModelRefusedError(f"the graph does not load: {_line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
