"""A campaign: all records of a file, rewrapped batch by batch, and taken up again where it was interrupted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, pairwise
from typing import BinaryIO, Final, TypeAlias

from kms_actors.cli.rewrap.client import (
    Rewrapped,
    Wanted,
)
from kms_actors.cli.rewrap.records import (
    Reader,
    Record,
)
from kms_actors.errors import InvalidRequest

#: Characters in one batch; the server takes bodies of 32 MiB.
MAX_BATCH: Final = 8 << 20

#: A record of the input with that of the output; None where that is not whole.
Pair: TypeAlias = tuple[Record, Record | None]


@dataclass
class Counts:
    """What became of the records so far."""

    rewrapped: int = 0
    failed: int = 0
    untouched: int = 0  # headers, and records without a ciphertext


@dataclass
class Campaign:
    """Rewraps records into `output`."""

    rewrap: Callable[[Sequence[Wanted]], list[Rewrapped]]
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

        Records that were left as they were are asked for again: those that fail are told again, and the first that
        fails no more is where the campaign goes on.

        Raises:
            InvalidRequest: `output` is not the beginning of what would be written for these records.

        """
        kept = 0
        whole_lines = (line for line in self.output if line.endswith(b"\n"))
        pairs = _paired(records, read(whole_lines))
        while window := list(islice(pairs, self.batch)):
            done = self._settled(window)
            kept += sum(len(written.encoded()) for _, written in window[:done] if written)
            if done < len(window):
                records = chain([record for record, _ in window[done:]], records)
                break
        self.output.truncate(kept)
        self.output.seek(kept)
        return records

    def _settled(self, window: Sequence[Pair]) -> int:
        """Count records that were done before an interruption, up to the first that was not; return their number."""
        again = [record for record, written in window if written == record and _is_wanted(record)]
        results = iter([result for batch in _batches(again, self.batch) for result in self._asked(batch)])
        for number, (record, written) in enumerate(window):
            if written is None:
                return number
            if written == record and _is_wanted(record):
                result = next(results)
                if not result.error and result.ciphertext != record.ciphertext:
                    return number
                self._count(record, result)
            else:
                self._count(record, Rewrapped(written.ciphertext))
            self.progress(len(record.encoded()))
        return len(window)

    def _rewrapped(self, batch: Sequence[Record]) -> Iterator[bytes]:
        results = iter(self._asked([record for record in batch if _is_wanted(record)]))
        for record in batch:
            result = next(results) if _is_wanted(record) else Rewrapped()
            self._count(record, result)
            yield record.encoded(result.ciphertext or None)

    def _asked(self, records: Sequence[Record]) -> list[Rewrapped]:
        if not records:
            return []
        return self.rewrap([Wanted(each.ciphertext, each.context, each.associated_data) for each in records])

    def _count(self, record: Record, result: Rewrapped) -> None:
        """Count a record, and tell of it if it stays as it is by a failure."""
        if error := record.problem or result.error:
            self.counts.failed += 1
            self.report(record.line, error)
        elif record.ciphertext:
            self.counts.rewrapped += 1
        else:
            self.counts.untouched += 1


def _is_wanted(record: Record) -> bool:
    """Tell whether the server is to be asked for it."""
    return bool(record.ciphertext) and not record.problem


def _paired(records: Iterator[Record], output: Iterator[Record]) -> Iterator[Pair]:
    """Yield records with what was written for them; the last one, if that is torn, with None."""
    for written, following in pairwise(chain(output, [None])):
        assert written is not None
        record = next(records, None)
        if record is not None and _is_of(written, record):
            yield record, written
        elif record is None or following is not None:
            raise InvalidRequest(f"the output is not of this input: line {written.line} differs")
        else:
            yield record, None


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
