"""What a trace says of itself: its schema, and what each mode shows. Imports nothing."""

SCHEMA = 1

# What each mode shows; `auto` and `probes` are the same where both are possible.
_SEEN = {
    "finder": ["loads", "failures of bodies", "find times"],
    "probes": ["loads", "failures", "requests", "waits", "hand-outs", "body times", "reloads"],
}
_UNSEEN = {
    "finder": [
        "searches that found nothing",
        "body times",
        "requests",
        "waits",
        "hand-outs",
        "reloads",
        "bodies that no import started",
    ],
    "probes": ["finders", "modules taken from sys.modules", "builtin and frozen body starts"],
}


def observed(mode: str) -> list[str]:
    return _SEEN["finder" if mode == "finder" else "probes"]


def not_observed(mode: str) -> list[str]:
    return _UNSEEN["finder" if mode == "finder" else "probes"]
