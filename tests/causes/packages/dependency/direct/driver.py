"""Nothing is raised from the first failure, so that failure is the cause."""

import absent_native


def connect():
    return absent_native
