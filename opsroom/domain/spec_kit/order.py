"""The order of tasks as a graph."""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter


def find_cycle(depends: Mapping[str, Sequence[str]]) -> list[str] | None:
    """One cycle as `[a, b, …, a]`, where each task waits for the next one; None when there is an order."""
    known = {task: [d for d in on if d in depends] for task, on in depends.items()}
    try:
        TopologicalSorter(known).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]  # each entry is a predecessor of the next
        cycle = found[::-1]
        start = cycle.index(min(cycle[:-1]))
        return [*cycle[start:-1], *cycle[:start], cycle[start]]
    return None
