"""Collecting: how a process looks for garbage, of which there is little, as most of what is made is dropped in order.

What was loaded stays as long as the process and is not walked through again, which took a tenth of a second each time.
Whoever reads thousands of charts at once, as workers do, makes tens of thousands of objects that all live until the
end: Python looks through them every 700 unless told otherwise, which was a third of reading (docs/benchmarks.md).
"""

import gc
from typing import Final

IN_BULK: Final = (50_000, 20, 100)


def settle(*, in_bulk: bool = False) -> None:
    """To be called once everything is loaded. `in_bulk`: for a process that makes many objects at once."""
    gc.collect()
    gc.freeze()
    if in_bulk:
        gc.set_threshold(*IN_BULK)
