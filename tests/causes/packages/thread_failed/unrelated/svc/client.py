"""A misspelt name of a finished module; the failure in the other thread is long over."""

from svc.other import conection
