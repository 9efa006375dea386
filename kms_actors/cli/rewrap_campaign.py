"""A campaign: all records of a file, rewrapped batch by batch, and taken up again where it was interrupted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import BinaryIO, Final

from kms_actors.cli.rewrap_client import Rewrapped
from kms_actors.cli.rewrap_records import Reader, Record
from kms_actors.errors import InvalidRequest

#: Characters in one batch; the server takes bodies of 32 MiB.
MAX_BATCH: Final = 8 << 20

_LEFT_EARLIER: Final = "left as it was, before the interruption"


@dataclass
class Counts:
    """What became of the records so far."""

    rewrapped: int = 0
    failed: int = 0
    untouched: int = 0  # headers, and records without a ciphertext


@dataclass
class Campaign:
    """Rewraps records into `output`."""

    rewrap: Callable[[Sequence[str]], list[Rewrapped]]
    output: BinaryIO
    report: Callable[[int, str], None]  # is told the line of each record that fails, and why
    progress: Callable[[int], None]  # is told how many bytes of input were done
    batch: int  # records
    durable: bool  # the output is a file
    counts: Counts = field(default_factory=Counts)

    def run(self, records: Iterable[Record]) -> None:
        """Rewrap all; after each batch, all that was written is on disk if the output is a file."""
        for batch in _batches(records, self.batch):
            self.output.write(b"".join(self._rewrapped(batch)))
            self.output.flush()
            if self.durable:
                os.fsync(self.output.fileno())
            self.progress(sum(len(record.encoded()) for record in batch))

    def resume(self, records: Iterator[Record], read: Reader) -> Iterator[Record]:
        """Return the records that `output` does not hold yet; cut off a torn one at its end.

        Raises:
            InvalidRequest: `output` is not the beginning of what would be written for these records.

        """
        kept = 0
        whole_lines = (line for line in self.output if line.endswith(b"\n"))
        for written, following in pairwise(chain(read(whole_lines), [None])):
            assert written is not None
            record = next(records, None)
            if record is not None and _is_of(written, record):
                kept += len(written.encoded())
                self._count(record, unchanged=written.text == record.text)
            elif record is None or following is not None:
                raise InvalidRequest(f"the output is not of this input: line {written.line} differs")
            else:
                records = chain([record], records)
        self.output.truncate(kept)
        self.output.seek(kept)
        return records

    def _rewrapped(self, batch: Sequence[Record]) -> Iterator[bytes]:
        wanted = [record.ciphertext for record in batch if record.ciphertext and not record.problem]
        results = iter(self.rewrap(wanted) if wanted else ())
        for record in batch:
            if record.problem or not record.ciphertext:
                self._keep(record, record.problem)
                yield record.encoded()
                continue
            result = next(results)
            if result.error:
                self._keep(record, result.error)
                yield record.encoded()
            else:
                self.counts.rewrapped += 1
                yield record.encoded(result.ciphertext)

    def _count(self, record: Record, *, unchanged: bool) -> None:
        """Count a record that was done before an interruption."""
        self.progress(len(record.encoded()))
        if not unchanged:
            self.counts.rewrapped += 1
        else:
            self._keep(record, record.problem or (_LEFT_EARLIER if record.ciphertext else ""))

    def _keep(self, record: Record, error: str) -> None:
        """Count a record that stays as it is, by a failure or because it has no ciphertext."""
        if error:
            self.counts.failed += 1
            self.report(record.line, error)
        else:
            self.counts.untouched += 1


def _is_of(written: Record, record: Record) -> bool:
    """Tell whether a record of the output can have been made of one of the input."""
    same = written.around == record.around and written.problem == record.problem
    return same and bool(written.ciphertext) == bool(record.ciphertext)


def _batches(records: Iterable[Record], most: int) -> Iterator[list[Record]]:
    batch, size = list[Record](), 0
    for record in records:
        if batch and (len(batch) >= most or size + len(record.text) > MAX_BATCH):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record.text)
    if batch:
        yield batch
