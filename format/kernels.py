"""How every numba kernel is compiled and kept: without the GIL, and in numba's cache where there can be one.

Strategy: the cache only saves time, so whatever is wrong with it costs time and nothing else. Where no folder can be
written there is none; a damaged one is emptied and the kernel compiled again; a full disk leaves it as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import config, njit
from numba.core.caching import FunctionCache

from ..errors import BytecapError

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(**options: Any) -> Callable[[Function], Function]:
    """Decorator: compile a function by numba in nopython mode; `options` are those of `numba.njit`."""

    if config.DISABLE_JIT:
        raise BytecapError(
            "NUMBA_DISABLE_JIT is set in the environment, and these loops do not run without being compiled; unset it"
        )

    def decorate(function: Function) -> Function:
        dispatcher = njit(nogil=True, **options)(function)
        try:
            dispatcher._cache = _ForgivingCache(function)
        except RuntimeError:  # numba found no folder that it may write
            return dispatcher
        return dispatcher

    return decorate


class _ForgivingCache(FunctionCache):
    """Numba's cache of one function, in which a damaged file counts as none."""

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """What is cached for a signature, or None."""
        try:
            return super().load_overload(signature, target_context)
        except Exception:  # unpickling damaged bytes raises anything
            self._empty()
            return None

    def save_overload(self, signature: Any, data: Any) -> None:
        """Cache what was compiled, if that can be done."""
        try:
            super().save_overload(signature, data)
        except Exception:  # a damaged index, a full disk
            self._empty()

    def _empty(self) -> None:
        try:
            self.flush()
        except OSError:
            self.disable()


@kernel()
def copy_into(values: Any, into: Any) -> None:
    """`into` starts with `values`, vectors that share no memory.

    Assigning a slice does the same, and has numba compile the message of an error for seconds.
    """
    for i in range(values.size):
        into[i] = values[i]
