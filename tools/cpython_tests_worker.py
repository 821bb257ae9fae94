"""Runs one file of CPython's tests in the interpreter at hand and writes down each test's result.

    python cpython_tests_worker.py RESULTS REGRTEST-ARGUMENT…

regrtest itself does the work, so that a test meets what CPython's developers give it. Its result
class is extended: regrtest's own report loses tests whose subtests fail, and everything when the
interpreter crashes. RESULTS gets one JSON object a line, as it goes on:

    {"test": ID, "outcome": "ok|failed|error|skipped|expected failure|unexpected success", "text": …}
    {"end": true, "mode": MODE or null, "stopped": why tracing stopped or null, "records": N}
"""

import json
import os
import sys
import unittest


def recording(base, results):
    """regrtest's result class, which also appends to the file descriptor ``results``."""

    class Recording(base):
        def startTest(self, test):
            self.seen, self.why = "ok", ""
            super().startTest(test)

        def stopTest(self, test):
            super().stopTest(test)
            self.put(test.id())

        def saw(self, test, outcome, error=None):
            of_class_or_module = not isinstance(test, unittest.TestCase)
            if of_class_or_module:
                self.seen, self.why = "ok", ""
            if self.seen not in ("failed", "error"):
                self.seen = outcome
            if error is not None:
                self.why += self._exc_info_to_string(error, test)
            if of_class_or_module:
                self.put(str(test))

        def put(self, name):
            one = {"test": name, "outcome": self.seen, "text": self.why[-6000:]}
            os.write(results, (json.dumps(one) + "\n").encode())

        def addError(self, test, error):
            super().addError(test, error)
            self.saw(test, "error", error)

        def addFailure(self, test, error):
            super().addFailure(test, error)
            self.saw(test, "failed", error)

        def addSubTest(self, test, subtest, error):
            super().addSubTest(test, subtest, error)
            if error is not None:
                self.why += f"{subtest}\n"
                self.saw(test, "failed", error)

        def addSkip(self, test, reason):
            super().addSkip(test, reason)
            self.saw(getattr(test, "test_case", test), "skipped")  # a subtest may skip, too

        def addExpectedFailure(self, test, error):
            super().addExpectedFailure(test, error)
            self.saw(test, "expected failure")

        def addUnexpectedSuccess(self, test):
            super().addUnexpectedSuccess(test)
            self.saw(test, "unexpected success")

    return Recording


def main():
    results = os.open(sys.argv.pop(1), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    importtrace = sys.modules.get("importtrace")  # held: some tests empty sys.modules
    from test.libregrtest import main as regrtest
    from test.libregrtest import testresult

    testresult.RegressionTestResult = recording(testresult.RegressionTestResult, results)
    try:
        regrtest.main()
    finally:
        end = {"end": True, "mode": None, "stopped": None, "records": 0}
        if importtrace is not None:
            try:
                trace = importtrace.trace()
                end["mode"] = trace.header["mode"]
                end["stopped"] = trace.header.get("stopped")
                end["records"] = len(trace.records) + trace.header["dropped"]
            except importtrace.ImportTraceError as error:
                end["stopped"] = str(error)
        os.write(results, (json.dumps(end) + "\n").encode())


if __name__ == "__main__":  # multiprocessing imports this file in its children
    main()
