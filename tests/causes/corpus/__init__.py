"""All cases, by kind of bug."""

from corpus import bodies, circular, finding, frameworks, names, shadowed, swallowed, threads
from corpus.model import Case

CASES: list[Case] = [
    *circular.CASES,
    *names.CASES,
    *shadowed.CASES,
    *swallowed.CASES,
    *finding.CASES,
    *bodies.CASES,
    *threads.CASES,
    *frameworks.CASES,
]
