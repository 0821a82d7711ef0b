"""JSON in two shapes, told apart by the first character of the file: a list, or one value per line.

A list is read one element at a time, so that a file need not fit into memory in either shape.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tpo.data.row import MAX_ROW, OnInvalid, Row, raise_invalid
from tpo.data.text import CHUNK, TextFile
from tpo.errors import DataError

BLANK = " \t\r\n"
NOT_BLANK = re.compile(r"[^ \t\r\n]")
SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")

MARGIN = 16
"""More characters than any JSON token but a string has: nearer to the end, an error may be a cut token."""

SPANS_LINES = ". A file of objects holds one object per line, or a list of them: [{...}, {...}]"

# NaN and the infinities are no JSON, but many writers write them for a missing number.
_decoder = json.JSONDecoder(parse_constant=lambda _: None)


class _Malformed(Exception):
    """No usable JSON value: what is wrong, where, and whether more text might cure it."""

    def __init__(self, what: str, position: int, *, may_be_cut: bool = False) -> None:
        super().__init__(what)
        self.position = position
        self.may_be_cut = may_be_cut


@dataclass(frozen=True, slots=True)
class JsonSource:
    """A ``.json`` or ``.jsonl`` file, read in chunks of *chunk* bytes where it is a list."""

    file: TextFile
    chunk: int = CHUNK

    def rows(self, on_invalid: OnInvalid = raise_invalid) -> Iterator[Row]:
        """Yield each element of the list, or each line that is not blank.

        Raises:
            DataError: *on_invalid* raised the error of a line; or a list is malformed, which ends the reading
                since what follows cannot be told apart.
        """
        if _opens_list(self.file, self.chunk):
            return _ListReader(self.file, self.chunk).rows()
        return _line_rows(self.file, on_invalid)

    def digest(self) -> str:
        """Return the hash of the decompressed content."""
        return self.file.digest()

    def known_size(self) -> int | None:
        """Return None: the size is not known before reading."""
        return None


def _opens_list(file: TextFile, chunk: int) -> bool:
    with file.open() as opened:
        while start := opened.read(chunk):
            if first := start.lstrip(BLANK.encode()):
                return first.startswith(b"[")
    return False


def _line_rows(file: TextFile, on_invalid: OnInvalid) -> Iterator[Row]:
    for number, line in file.lines(on_invalid):
        text = line.strip(BLANK)
        if not text:
            continue
        try:
            value, end = _decode(text, 0)
        except _Malformed as error:
            hint = SPANS_LINES if text in ("{", "[") else ""
            on_invalid(DataError(f"{file}:{number}: {error} (column {error.position + 1}){hint}"))
            continue
        if end == len(text):
            yield Row(f"{file}:{number}", value)
        else:
            on_invalid(DataError(f"{file}:{number}: more than one JSON value on a line (column {end + 1})"))


def _decode(text: str, start: int) -> tuple[object, int]:
    """Return the JSON value at *start* and where it ends.

    Raises:
        _Malformed: there is none, or it cannot be encoded as UTF-8.
    """
    try:
        value, end = _decoder.raw_decode(text, start)
    except json.JSONDecodeError as error:
        cut = error.msg.startswith("Unterminated") or len(text[error.pos :].rstrip(BLANK)) < MARGIN
        raise _Malformed(f"not valid JSON: {error.msg}", error.pos, may_be_cut=cut) from error
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, ten thousand brackets
        raise _Malformed(f"not valid JSON: {error}", start) from error
    if SURROGATE_ESCAPE.search(text, start, end) and not _is_writable(value):
        raise _Malformed("holds half of a surrogate pair (\\ud8..), which is no text", start)
    return value, end


def _is_writable(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


class _ListReader:
    """Reads a JSON list element by element; what has been read and not yet used is ``text[position:]``."""

    def __init__(self, file: TextFile, chunk: int) -> None:
        self._file = file
        self._chunks = file.chunks(chunk)
        self._text = ""
        self._position = 0
        self._line = 1
        self._number = 0

    def rows(self) -> Iterator[Row]:
        self._sign()
        self._move(self._position + 1)  # past the opening bracket
        if self._sign() == "]":
            self._move(self._position + 1)
        else:
            yield self._row()
            while self._separator() == ",":
                yield self._row()
        if self._sign():
            raise self._error("something follows the end of the list")

    def _error(self, what: str) -> DataError:
        return DataError(f"{self._file}:{self._line}: {what}")

    def _row(self) -> Row:
        self._sign()
        self._number += 1
        place = f"{self._file}:{self._line} (element {self._number})"
        value, end = self._whole_value()
        self._move(end)
        return Row(place, value)

    def _whole_value(self) -> tuple[object, int]:
        """Return the value here; read on where it may continue beyond what was read."""
        while True:
            try:
                value, end = _decode(self._text, self._position)
            except _Malformed as error:
                if error.may_be_cut and self._waiting > MAX_ROW:
                    raise self._error(f"the element is longer than {MAX_ROW:,} characters") from None
                if not (error.may_be_cut and self._more()):
                    self._move(error.position)
                    raise self._error(str(error)) from error
            else:
                # A number reads as whole before its fraction or exponent has come: 1|.5, 1|e-|9.
                if end + len("e-") < len(self._text) or not self._more():
                    return value, end

    def _separator(self) -> str:
        sign = self._sign()
        if sign not in (",", "]"):
            found = f"found {sign!r}" if sign else "the file ends"
            raise self._error(f"not valid JSON: after an element comes ',' or ']', but {found}")
        self._move(self._position + 1)
        return sign

    def _sign(self) -> str:
        """Move to the next character that is not blank and return it; empty at the end of the file."""
        while True:
            found = NOT_BLANK.search(self._text, self._position)
            self._move(found.start() if found else len(self._text))
            if found or not self._more():
                return self._text[self._position : self._position + 1]

    def _move(self, position: int) -> None:
        self._line += self._text.count("\n", self._position, position)
        self._position = position

    @property
    def _waiting(self) -> int:
        return len(self._text) - self._position

    def _more(self) -> bool:
        """Read at least as much again as is waiting, so that one long value costs linear time."""
        pieces: list[str] = []
        wanted = max(1, min(self._waiting, MAX_ROW + 1 - self._waiting))
        for piece in self._chunks:
            pieces.append(piece)
            wanted -= len(piece)
            if wanted <= 0:
                break
        if pieces:
            self._text = self._text[self._position :] + "".join(pieces)
            self._position = 0
        return bool(pieces)
