"""Describe an SQL statement: operation, table, summary, masked text. Reads its first characters only; never raises.

A tokenizer, not a parser: one regular expression per dialect finds strings, names, numbers and comments, and a small
reader follows the verbs and the tables. If a dialect leaves open whether something is a value, it is masked.
"""

from __future__ import annotations

from autotrace import containment
from autotrace.sql.dialects import DIALECTS, GENERIC
from autotrace.sql.reader import Reader

LIMIT = 2048  # characters of masked text
SLACK = 1024  # characters read beyond it: what masking shortens
SUMMARY_LIMIT = 255  # OpenTelemetry: db.query.summary
CACHE_ENTRIES = 2000
CACHE_CHARACTERS = 2_000_000  # statements and texts kept, together


class Statement:
    """One statement. Never changed, because the cache shares it.

    operation: 'SELECT', 'CREATE TABLE', upper case, of the first statement that has one; '' if unknown.
    table: the table that the operation works on, unquoted, schema kept ('public.orders'); '' if unknown.
    summary: db.query.summary of OpenTelemetry's database conventions, 'INSERT orders SELECT customers'; '' if unknown.
    text: the statement on one line without comments, literals as '?', '...' at the end where it was cut.
    """

    __slots__ = ("operation", "summary", "table", "text")

    def __init__(self, operation: str, table: str, summary: str, text: str) -> None:
        self.operation = operation
        self.table = table
        self.summary = summary
        self.text = text

    def __repr__(self) -> str:
        return f"Statement({self.operation!r}, {self.table!r}, {self.summary!r}, {self.text!r})"


class _Cache:
    """Recent statements, in two generations: neither entries nor characters grow, and no lock is needed."""

    __slots__ = ("older", "recent", "size")

    def __init__(self) -> None:
        self.recent: dict[tuple[str, str, bool, int], Statement] = {}
        self.older: dict[tuple[str, str, bool, int], Statement] = {}
        self.size = 0

    def keep(self, key: tuple[str, str, bool, int], found: Statement) -> None:
        size = len(key[0]) + len(found.text)
        if len(self.recent) >= CACHE_ENTRIES // 2 or self.size + size > CACHE_CHARACTERS // 2:
            self.older, self.recent, self.size = self.recent, {}, 0
        if size <= CACHE_CHARACTERS // 2:
            self.recent[key] = found
            self.size += size


_cache = _Cache()


def describe(statement: object, dialect: str = "", *, mask: bool = True, limit: int = LIMIT) -> Statement:
    """Read `statement` (str, bytes, psycopg's Composed, None) in a dialect of DIALECTS, or else as generic SQL.

    Only the first limit + SLACK characters are read and make the cache's key: 10 MB cost no more than their head.
    mask=False keeps literals and lists. Of an unknown object the text is its type's name: its str() is never called,
    because that may be slow, and is the program's code. `text` has at most `limit` characters.
    """
    limit = max(limit, 0)
    room = limit + SLACK
    if type(statement) is not str:
        plain = _plain(statement, room)
        if plain is None:
            return Statement("", "", "", type(statement).__name__[:limit])
        statement = plain
    if len(statement) > room:
        statement = statement[: room + 1]  # one more than is read marks the key, and the text, as cut
    key = (statement, dialect, mask, limit)
    found = _cache.recent.get(key)
    if found is None:
        found = _cache.older.get(key)
        if found is None:
            try:
                found = _read(statement, dialect, mask, limit)
            except Exception:
                containment.contained("sql.describe")
                found = Statement("", "", "", "")
        _cache.keep(key, found)
    return found


def _plain(statement: object, room: int) -> str | None:
    """The SQL in an object that drivers accept as a statement; or None."""
    try:
        if statement is None:
            return ""
        if isinstance(statement, str):
            return str.__getitem__(statement, slice(room + 1))  # of a subclass: str() would copy all of it
        if isinstance(statement, (bytes, bytearray)):
            return bytes(statement[: 4 * room + 4]).decode("utf-8", "replace")
        if type(statement).__module__ in ("psycopg2.sql", "psycopg.sql"):
            return _composed(statement, room)
    except Exception:  # an object that only looks like one of these
        containment.reraise_interruption()
    return None


def _composed(statement: object, room: int) -> str:
    """The SQL in objects of psycopg2.sql and psycopg.sql. as_string() would need the connection. Literals become ?."""
    pieces: list[str] = []
    waiting, length = [statement], 0
    for _ in range(room):
        if not waiting or length > room:
            break
        node = waiting.pop()
        body = node._wrapped if hasattr(node, "_wrapped") else node._obj  # type: ignore[attr-defined]
        name = type(node).__name__
        piece = "?"
        if name == "Composed":
            waiting.extend(reversed(body[:room]))
            del waiting[:-room]  # no more than these are read
            continue
        if name == "SQL":
            piece = body[: room + 1]
        elif name == "Identifier":
            piece = ".".join('"' + part[: room + 1].replace('"', '""') + '"' for part in body[:room])
        elif name == "Placeholder":
            piece = f"%({body[:room]})s" if body else "%s"
        pieces.append(piece)
        length += len(piece)
    return "".join(pieces)


def _read(text: str, dialect: str, mask: bool, limit: int) -> Statement:
    rules = DIALECTS.get(dialect, GENERIC)
    cut = len(text) > limit + SLACK
    text = text[: limit + SLACK]
    reader = Reader(rules, mask)
    for kind, token, apart, end in rules.tokens(text):
        gap = " " if apart else ""
        if reader.target and token != "." and reader.previous != ".":
            reader.settle(token)
        if kind == "word":
            reader.word(token, gap)
        elif kind == "sign":
            reader.sign(token, gap)
        elif kind == "name":
            reader.name(token, gap, text.startswith(".", end))
        else:
            reader.value(token, gap, kind)
    if cut:
        reader.target = ""  # perhaps half of a name
        if reader.list_depth:
            reader.shorten_list("")
        elif reader.previous == "ROW,":
            del reader.pieces[reader.rows_end :]
    reader.end()
    shown = "".join(reader.pieces).strip().encode("utf-8", "replace").decode()  # no lone surrogates: exporters encode
    if cut or len(shown) > limit:
        shown = (shown[: max(limit - 3, 0)].rstrip() + "...")[:limit]
    return Statement(reader.operation, reader.table or reader.inner_table, _fit("; ".join(reader.summaries)), shown)


def _fit(summary: str) -> str:
    """At most SUMMARY_LIMIT characters, cut between words."""
    if len(summary) <= SUMMARY_LIMIT:
        return summary
    return summary[: SUMMARY_LIMIT + 1].rpartition(" ")[0].rstrip(";")
