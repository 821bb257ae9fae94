"""The three places where an import is written down as it happens. The hottest part of the spool.

`hooks(spool)` gives the recorder's `began`, `entered` and `kept`, and `attach`, which turns them to
another file. What most loads are, imported by the body of a load that has a slot, is packed into a slot
of its own (_spool_format.py), each step by one call; everything else goes the long way, through
`Spool.begins`, `enters` and `ends`. Stdlib-free but for `_struct`.
"""

import sys
from _struct import Struct

from importtrace import _spool_format as layout
from importtrace._recorder import Load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_external: "Any" = sys.modules["_frozen_importlib_external"]


def hooks(spool: "Any") -> "tuple[Any, Any, Any, Any]":
    """`(began, entered, kept, attach)`; what is our own failure never leaves them."""
    slots = spool.slots
    slotted = spool.slotted
    places = spool.places
    ours = spool.ours
    begins, enters, ends, again = spool.begins, spool.enters, spool.ends, spool.again
    source_loader = _external.SourceFileLoader
    pack_begin = Struct(layout.BEGIN_INSIDE).pack_into
    pack_body = Struct(layout.BODY).pack_into
    memory: Any = b""
    quads: Any = b""

    def attach(mapped: "Any") -> None:
        nonlocal memory, quads
        memory = mapped
        quads = memoryview(mapped).cast("q")

    def began(record: "Any") -> None:
        """A load begins; or a request, since its thread waits for another's."""
        try:
            parent = record.parent
            if (
                parent is not None
                and record.importer is parent.name
                and record.thread is parent.thread
                and type(record) is Load
                and type(parent.origin) is str
            ):
                above = slotted[parent]
                line = record.line
                where = record.where
                if where != parent.origin:
                    if type(where) is not tuple or where[0] != parent.origin:
                        begins(record)
                        return
                    # `line` is an offset: `Spool._place`, written out
                    table = where[1]
                    place = places.get(id(table))
                    if place is None or place[0] is not table or line < place[2]:
                        begins(record)
                        return
                    if line >= place[3]:
                        for start, end, one in place[1]:
                            if line < end:
                                place[2] = start
                                place[3] = end
                                place[4] = one
                                break
                        else:
                            begins(record)
                            return
                    line = place[4] or 0
                name = record.name.encode()
                if len(name) <= 86:
                    at = slots.pop()
                    # its flags: IMPLIED, FROM_LIST
                    pack_begin(
                        memory, at + 8, record.begin, above, line, record.flags & 3, name, 255
                    )
                    slotted[record] = at
                    return
            begins(record)
        except BaseException as error:
            if not again(error, begins, record) and not ours(error):
                raise

    def entered(load: Load) -> None:
        """Its module was found and created; its body, or an extension's creation, starts."""
        try:
            if load.loader is source_loader and type(load.origin) is str:
                at = slotted[load]
                origin = load.origin.encode()
                if len(origin) <= 150:
                    pack_body(
                        memory,
                        at + 120,
                        load.found,
                        load.body,
                        load.flags & 4,  # COMPILED
                        origin,
                        255,
                    )
                    return
            enters(load)
        except BaseException as error:
            if not again(error, enters, load) and not ours(error):
                raise

    def kept(record: "Any") -> None:
        """A load has ended, or turned out to be none (`void`); or a request is over."""
        try:
            at = slotted.pop(record, 0)
            if (
                at
                and record.body
                and not record.harmless
                and not record.wait
                and not record.reload
                and not record.void
                and record.error is None
            ):
                quads[at >> 3] = record.end
                return
            ends(record)
            if at:
                quads[at >> 3] = 1  # layout.TOLD
        except BaseException as error:
            if not again(error, ends, record) and not ours(error):
                raise

    return began, entered, kept, attach
