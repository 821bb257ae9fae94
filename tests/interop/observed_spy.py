"""Runs a program of the page in this fresh interpreter and prints, as JSON, what the seams showed.

    python observed_spy.py seams|records PROGRAM TARGET…

``seams`` watches the four seams by itself, without importtrace: each call that is about a TARGET, as
(thread, target, seam, what). ``records`` lets importtrace watch: (thread, target, "record", what).
"""

import sys

_, HOW, PROGRAM, *TARGETS = sys.argv
EVENTS = []


def _thread():
    active = getattr(sys.modules.get("threading"), "_active", {})  # loading, it has none yet
    name = getattr(active.get(sys.modules["_thread"].get_ident()), "name", None)
    return name if name in ("first", "second") else "main"


def _saw(target, seam, what):
    EVENTS.append((_thread(), target, seam, what))


def _watch_locks(bootstrap):
    lock_class = bootstrap._ModuleLock
    plain = lock_class.acquire
    get_ident = sys.modules["_thread"].get_ident

    def acquire(self):
        frame = sys._getframe(1)
        if frame.f_code.co_name == "__enter__":  # _ModuleLockManager
            frame = frame.f_back
        owner = self.owner
        how = "" if owner is None else " (again)" if owner == get_ident() else " (waits)"
        try:
            result = plain(self)
        except bootstrap._DeadlockError:
            _saw(self.name, "lock", f"{frame.f_code.co_name} (deadlock)")
            raise
        _saw(self.name, "lock", frame.f_code.co_name + how)
        return result

    lock_class.acquire = acquire


def _watch_functions(bootstrap):
    created = bootstrap._init_module_attrs

    def _call_with_frames_removed(f, *args, **kwds):
        what = getattr(f, "__name__", "?")
        first = args[0] if args else None
        if f is exec:
            _saw(args[1].get("__name__"), "called", "exec")
        elif what in ("create_dynamic", "create_builtin"):
            _saw(first.name, "called", what)
        elif what in ("exec_dynamic", "exec_builtin"):
            _saw(first.__name__, "called", what)
        elif type(first) is str and what != "find_frozen":  # asked of every name, says nothing
            _saw(first, "called", what)
        return f(*args, **kwds)

    def _init_module_attrs(spec, module, *, override=False):
        _saw(spec.name, "created", "yes")
        return created(spec, module, override=override)

    bootstrap._call_with_frames_removed = _call_with_frames_removed
    bootstrap._init_module_attrs = _init_module_attrs


class _Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        _saw(name, "found", "asked")


def _watch():
    bootstrap = sys.modules["_frozen_importlib"]
    _watch_locks(bootstrap)
    _watch_functions(bootstrap)
    sys.meta_path.insert(0, _Finder)


def _records(session):
    for record in session.trace().records:
        what = f"{record.kind} {record.outcome}"
        for key in ("implied", "reload", "harmless_requests"):
            if getattr(record, key):
                what += f", {key.split('_')[0]}"
        if record.kind == "load" and record.exec_ns is None:
            what += ", no body"
        if record.wait_ns:
            what += ", wait"
        thread = record.thread.name if record.thread.name in ("first", "second") else "main"
        EVENTS.append((thread, record.module, "record", what))


def main():
    program = type(sys)("__main__")
    sys.modules["__main__"] = program
    with open(PROGRAM, encoding="utf-8") as file:
        code = compile(file.read(), PROGRAM, "exec")
    session = None
    if HOW == "seams":
        _watch()
    else:
        import importtrace

        session = importtrace.install(mode="auto", log="off", spans="off")
    exec(code, program.__dict__)
    seen = list(EVENTS)
    if session is not None:
        _records(session)
        seen = list(EVENTS)
        session.uninstall()
    chosen = getattr(program, "TARGET", None)
    targets = {chosen: "<extension>"} if chosen else {name: name for name in TARGETS}
    out = [[t, targets[m], s, w] for t, m, s, w in seen if m in targets]
    import json

    sys.stdout.write("\nSEEN " + json.dumps(out) + "\n")


main()
