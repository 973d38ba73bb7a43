"""What a monitor asks for, in the text format of Prometheus. Names of people are in none of it."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from threading import Lock
from typing import final

_EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds


@final
class Metrics:
    """Counts answers and how long they took."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._answers: dict[tuple[str, int], int] = defaultdict(int)
        self._seconds: dict[str, list[int]] = defaultdict(lambda: [0] * (len(_EDGES) + 1))
        self._sums: dict[str, float] = defaultdict(float)

    def answered(self, what: str, status: int, seconds: float) -> None:
        """One answer; `what` is one of the service's own paths, never what a client made up."""
        with self._lock:
            self._answers[what, status] += 1
            self._seconds[what][bisect_left(_EDGES, seconds)] += 1
            self._sums[what] += seconds

    def text(self, now: dict[str, tuple[str, float]]) -> str:
        """All of it, with other figures: name -> "gauge" or "counter", and value."""
        lines = ["# TYPE likewise_answers_total counter"]
        with self._lock:
            for (what, status), count in sorted(self._answers.items()):
                lines.append(f'likewise_answers_total{{what="{what}",status="{status}"}} {count}')
            lines.append("# TYPE likewise_answer_seconds histogram")
            for what, counts in sorted(self._seconds.items()):
                total = 0
                for edge, count in zip((*map(str, _EDGES), "+Inf"), counts, strict=True):
                    total += count
                    lines.append(f'likewise_answer_seconds_bucket{{what="{what}",le="{edge}"}} {total}')
                lines.append(f'likewise_answer_seconds_sum{{what="{what}"}} {self._sums[what]:.6f}')
                lines.append(f'likewise_answer_seconds_count{{what="{what}"}} {total}')
        for name, (kind, value) in now.items():
            lines += [f"# TYPE likewise_{name} {kind}", f"likewise_{name} {value:g}"]
        return "\n".join(lines) + "\n"
