"""What bytecap can be extended by: the frontends and codecs there are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..version import VERSION
from .file_errors import deliberate

if TYPE_CHECKING:
    from ..format.plug_ins import PlugIn


@dataclass(frozen=True)
class Extension:
    """A frontend or codec.

    kind : "frontend" or "codec";  name : as users write it, of one that is left out that of its entry point
    package, version : who offers it;  wire_id : of a codec
    fault : why it is left out, empty where it can be used
    """

    kind: str
    name: str
    package: str
    version: str
    wire_id: int | None = None
    fault: str = ""


@deliberate
def plugins() -> list[Extension]:
    """Every frontend and integer codec: those of this package first, then those that installed packages offer by the
    entry points `bytecap.frontends` and `bytecap.codecs`; a broken one with the reason, for which nothing is raised.
    """
    from ..compiler.frontends import FRONTENDS
    from ..compiler.frontends.third_party import offered_frontends
    from ..format.codecs import INTEGER_CODECS, offered_codecs

    frontends = [Extension("frontend", name, "bytecap", VERSION) for name in FRONTENDS]
    codecs = [Extension("codec", codec.name, "bytecap", VERSION, number) for number, codec in INTEGER_CODECS.items()]
    return [*frontends, *_offered(offered_frontends()), *codecs, *_offered(offered_codecs())]


def _offered(found: Iterable[PlugIn]) -> list[Extension]:
    return [
        Extension(
            each.kind,
            each.name if each.fault else str(each.thing.name),
            each.package,
            each.version,
            None if each.fault or each.kind != "codec" else int(each.thing.wire_id),
            each.fault,
        )
        for each in found
    ]
