"""Run a step over many cases: here, or in local processes.

`task` says what one case needs and gives → `result` keeps its folder whole or absent (`among`: its files, where a
folder is shared) → `perform` does one, in its `time_limit` → `executors` do many, here or in processes → `many` does
those that failed again. `failures` is the table of what never worked, `spread` does one small thing to many items,
`room` asks whether the disk will hold it all.
"""

from ctatlas.execution.among import done_among, perform_among, record_among
from ctatlas.execution.executors import Executor, LocalPool, ThisProcess
from ctatlas.execution.failures import FAILURES, failures_of_job, gather_failures, write_failures
from ctatlas.execution.many import Patience, perform_all, perform_one
from ctatlas.execution.perform import Outcome, Performer, done_before, perform, perform_in_place
from ctatlas.execution.result import RECORD, result_folder, whole_record
from ctatlas.execution.room import Room, room_for
from ctatlas.execution.task import Task, refused_task

__all__ = [
    "FAILURES",
    "RECORD",
    "Executor",
    "LocalPool",
    "Outcome",
    "Patience",
    "Performer",
    "Room",
    "Task",
    "ThisProcess",
    "done_among",
    "done_before",
    "failures_of_job",
    "gather_failures",
    "perform",
    "perform_all",
    "perform_among",
    "perform_in_place",
    "perform_one",
    "record_among",
    "refused_task",
    "result_folder",
    "room_for",
    "whole_record",
    "write_failures",
]
