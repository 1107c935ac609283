"""Run a step over many cases: here, or in local processes.

`task` says what one case needs and gives → `result` keeps its folder whole or absent → `local` does many, whatever
becomes of one.
"""

from ctatlas.execution.failures import FAILURES, write_failures
from ctatlas.execution.local import Outcome, Performer, done_before, perform, perform_all, perform_in_place
from ctatlas.execution.result import RECORD, result_folder, whole_record
from ctatlas.execution.task import Task

__all__ = [
    "FAILURES",
    "RECORD",
    "Outcome",
    "Performer",
    "Task",
    "done_before",
    "perform",
    "perform_all",
    "perform_in_place",
    "result_folder",
    "whole_record",
    "write_failures",
]
