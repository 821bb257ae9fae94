"""``importtrace ship``: sends traces by OTLP from a process of its own, beside the traced one or later.

    sources    which files hold a trace, and what is in them by now
    positions  which spans of a trace a collector has accepted, on disk
    courier    one request at a time: waits out a collector that is not there, takes apart what it refuses
    parcels    one trace's spans that are still to be sent, in requests
    rounds     pass after pass over the files
    command    the command line

A span's id follows from its trace, so whatever happens between a collector's acceptance and the note of
it on disk, a span that is sent again is the same span.
"""
