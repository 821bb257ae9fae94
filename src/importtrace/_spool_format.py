"""Layout of a spool file; docs/spool.md describes it. Shared by the writer and the readers. Stdlib-free.

A file is a head of one page, then records, in segments of 128 KiB of two kinds.

In a segment of text a record is a mark, the byte 255, which no UTF-8 holds, and a text without NUL; it
ends at the next mark or NUL. The text is stored first and the mark last, so a record exists whole or not
at all, whenever the process dies. A NUL where a mark should be ends what a segment holds so far. Records
of different segments are ordered by the times in them.

A segment that begins with the byte 254 holds slots of one size, and each slot one load, in binary: what
is written at every import must cost as little as can be. Its begin is written before the body runs, its
body's start into the same slot, its end last; the first two are there when the mark behind them is, the
end is one store. What a slot has no room for, or what is said rarely, is a text.

    a slot      end: 8 bytes (0: not over; 1: a text says it)
      begin     begin: 8 · offset of its parent's slot: 4 (0: none) · line: 4 · thread's serial: 4
                (0: its parent's) · who asked: 2 (0: its parent's body) · flags: 1 ·
                module: 86, UTF-8 · mark: 1
      body      found: 8 · body: 8 · 4 if it was compiled, and 8 times the loader's place in LOADERS: 1 ·
                origin: 150, UTF-8 · mark: 1

Numbers are little-endian. A text: a letter, whole numbers with spaces between them, then
strings, each after the character U+001F (`·` below). A load is named by its thread's serial number and
its begin, `0 0` is none.

    t serial ident · name                                     a thread
    p number · module · file                                  who asked, for slots that name it
    b serial begin, of parent serial begin, line flags · module · importer · file      a load begins
    s serial begin found body flags · origin · loader         it was found; its body starts
    x serial begin, of failure serial begin, flags · type · message      it fails
    E serial begin end found body wait harmless flags, of holder serial begin
        · module · origin · loader
    r serial begin end wait, of parent serial begin, of met load serial begin, line deadlock owner
        · module · importer · file
    c serial begin · JSON                                     the cause of a failure
    u serial begin                                            that failure left its thread
    y at · reason                                             the ready mark
    h at · JSON                                               an import that hangs; an `at`'s last one counts
    z at · end · argv0 · why                                  the end of the process, or of tracing
"""

MAGIC = b"\x89importtrace-spool\r\n\x1a\n"  # 22 bytes: text and newline conversion show at once
VERSION = 2

PAGE = 4096
SHIFT = 17
SEGMENT = 1 << SHIFT
MARK = 255
SEPARATOR = "\x1f"
SLOTS = 254  # the first byte of a segment of slots
SLOT = 288
AT_BEGIN, BEGIN = 8, "<qIIIHB86sB"  # places in a slot, and their formats for `struct`
BEGIN_INSIDE = "<qII6xB86sB"  # likewise, where its parent's body asked for it in its own thread
AT_BODY, BODY = 120, "<qqB150sB"
MOST_NAME, MOST_ORIGIN = 86, 150
LOADERS = (
    "SourceFileLoader",
    "ExtensionFileLoader",
    "BuiltinImporter",
    "FrozenImporter",
    "SourcelessFileLoader",
)
TOLD = 1  # as a slot's end: a text says it
MOST_ASKERS = 0xFFFF
MOST_BYTES = 256 << 20  # of a file
LARGEST = SEGMENT - PAGE - 2  # what fits into any segment, the first one too

# Offsets in the head; numbers are little-endian.
AT_VERSION = 24  # 4 bytes
AT_STATE = 28  # 0: the process has not said that it ended; 1: it has
AT_FULL = 29  # 1: ordinary records no longer fitted; 2: no more ends of loads, either
AT_LOCKED = 30  # 1: the process holds a shared flock() of the file
AT_LOST = 32  # 8 bytes: records that did not fit
AT_FULL_AT = 40  # 8: the time of that
AT_PID = 48  # 8
AT_BORN = 56  # 8: when the process started, in clock ticks since boot (0: not known)
AT_PID_SPACE = 64  # 8: inode of its pid namespace (0: not known)
AT_BOOT = 72  # 36: boot id of the kernel, ASCII (empty: not known)
AT_NAME = 112  # 48: name that the file was created under
AT_FACTS = 160  # 4: length of the facts, JSON, which follow
MOST_FACTS = PAGE - AT_FACTS - 4

# Flags of loads; the first three fit into a slot.
IMPLIED, FROM_LIST, ADOPTED, RELOAD, COMPILED, FAILED, VOID = 1, 2, 4, 8, 16, 32, 64
IN_SLOT = IMPLIED | FROM_LIST | ADOPTED
# Set by readers: its parent's body asked for it.
INSIDE = 256
# Of failures.
HAS_MESSAGE = 1
# `deadlock` of a request.
DEADLOCKS = (None, "accepted", "raised")

SUFFIX = ".spool"
