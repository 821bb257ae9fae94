"""The three places where an import is written down as it happens. The hottest part of the spool.

`hooks(spool)` gives the recorder's `began`, `entered` and `kept`, and `attach`, which turns them to
another file. They write out what `Spool.write` does, since a call costs as much as the rest of it, and
send everything that is not plain the long way. Stdlib-free.
"""

from importtrace._recorder import Load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from importtrace._recorder import Request


def hooks(spool: "Any") -> "tuple[Any, Any, Any, Any]":
    """`(began, entered, kept, attach)`; what is our own failure never leaves them."""
    pool = spool.pool
    threads = spool.threads
    ours = spool.ours
    write = spool.write
    begins, enters, ends, again = spool.begins, spool.enters, spool.ends, spool.again
    plain = not spool.redacts
    memory: Any = b""

    def attach(mapped: "Any") -> None:
        nonlocal memory
        memory = mapped

    def began(record: "Load | Request") -> None:
        """A load begins; or a thread begins to wait for another's."""
        text = ""
        try:
            serial = record.thread.serial
            where = record.where
            importer = record.importer
            if (
                serial not in threads
                or type(record) is not Load
                or type(where) is not str
                or type(importer) is not str
                or record.implied
                or record.from_list
                or not plain
            ):
                begins(record)
                return
            parent = record.parent
            if parent is None:
                text = (
                    f"b{serial} {record.begin} 0 0 {record.line} 0\x1f{record.name}\x1f"
                    f"{importer}\x1f{where}"
                )
            elif (  # by its body, as most are
                importer == parent.name and type(parent.origin) is str and where == parent.origin
            ):
                text = (
                    f"i{serial} {record.begin} {parent.thread.serial} {parent.begin} "
                    f"{record.line} 0\x1f{record.name}"
                )
            else:
                text = (
                    f"b{serial} {record.begin} {parent.thread.serial} {parent.begin} "
                    f"{record.line} 0\x1f{record.name}\x1f{importer}\x1f{where}"
                )
            data = text.encode()
            at = pool.pop()
            end = at + 1 + len(data)
            if (at ^ end) >> 17:
                write(text)  # it does not fit: the rest of that segment stays empty
                return
            # The mark is stored after the text: the record is there whole, or not at all.
            memory[at + 1 : end] = data
            memory[at] = 255
            pool.append(end)
        except BaseException as error:
            if not again(error, text) and not ours(error):
                raise

    def entered(load: Load) -> None:
        """Its module was found and created; its body, or an extension's creation, starts."""
        text = ""
        try:
            origin = load.origin
            loader = load.loader
            if type(origin) is not str or loader is None or not plain:
                enters(load)
                return
            text = (
                f"s{load.thread.serial} {load.begin} {load.found} {load.body} "
                f"{16 if load.compiled else 0}\x1f{origin}\x1f{loader.__qualname__}"
            )
            data = text.encode()
            at = pool.pop()
            end = at + 1 + len(data)
            if (at ^ end) >> 17:
                write(text)
                return
            memory[at + 1 : end] = data
            memory[at] = 255
            pool.append(end)
        except BaseException as error:
            if not again(error, text) and not ours(error):
                raise

    def kept(record: "Load | Request") -> None:
        """A load has ended, or turned out to be none (`void`); or a request is over."""
        text = ""
        try:
            if (
                type(record) is not Load
                or not record.body
                or record.harmless
                or record.wait
                or record.reload
                or record.void
                or record.error is not None
                or spool.full_at
            ):
                ends(record)
                return
            # what `began` and `entered` have told is not told again
            text = f"e{record.thread.serial} {record.begin} {record.end}"
            data = text.encode()
            at = pool.pop()
            end = at + 1 + len(data)
            if (at ^ end) >> 17:
                write(text, True)
                return
            memory[at + 1 : end] = data
            memory[at] = 255
            pool.append(end)
        except BaseException as error:
            if not again(error, text) and not ours(error):
                raise

    return began, entered, kept, attach
