"""What an SQL statement does: operation, table, summary, masked text. Looks at its first characters only; never raises.

A tokenizer, not a parser: one regular expression per dialect finds strings, names, numbers and comments, and a small
reader follows the verbs and the tables. Where a dialect leaves it open whether something is a value, it is masked.
"""

from __future__ import annotations

import re

from autotrace import containment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 2048  # characters of masked text
SLACK = 1024  # characters read beyond it: what masking shortens
SUMMARY_LIMIT = 255  # OpenTelemetry: db.query.summary
CACHE_ENTRIES = 2000
CACHE_CHARACTERS = 2_000_000  # statements and texts kept, together


class Statement:
    """What is known of one statement; shared by the cache, so never changed.

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
    """Statements read lately: two generations, so that neither entries nor characters grow, and no lock is needed."""

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
    """Read `statement` (str, bytes, psycopg's Composed, None) as 'postgresql', 'mysql', 'mariadb', 'sqlite' or generic SQL.

    Only the first limit + SLACK characters are looked at and make the key of the cache, so a statement of 10 MB costs
    no more than its head. mask=False keeps literals and lists. The str() of an unknown object is never called, for it
    may be slow or the program's own code: its type's name is the text. `text` has at most `limit` characters.
    """
    limit = max(limit, 0)
    room = limit + SLACK
    if type(statement) is not str:
        plain = _plain(statement, room)
        if plain is None:
            return Statement("", "", "", type(statement).__name__[:limit])
        statement = plain
    if len(statement) > room:
        statement = statement[: room + 1]  # one more than is read: marks the key, and the text, as cut
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
    """The SQL inside what drivers take for a statement, or None."""
    try:
        if statement is None:
            return ""
        if isinstance(statement, str):
            return str.__str__(statement)
        if isinstance(statement, (bytes, bytearray)):
            return bytes(statement[: 4 * room + 4]).decode("utf-8", "replace")
        if type(statement).__module__ in ("psycopg2.sql", "psycopg.sql"):
            return _composed(statement, room)
    except Exception:  # an object that only looks like one of these
        pass
    return None


def _composed(statement: object, room: int) -> str:
    """psycopg2.sql and psycopg.sql without their as_string(), which needs the connection. Literals become ?."""
    pieces: list[str] = []
    waiting = [statement]
    for _ in range(room):
        if not waiting:
            break
        node = waiting.pop()
        body = node._wrapped if hasattr(node, "_wrapped") else node._obj  # type: ignore[attr-defined]
        name = type(node).__name__
        if name == "Composed":
            waiting.extend(reversed(body[:room]))
        elif name == "SQL":
            pieces.append(body)
        elif name == "Identifier":
            pieces.append(".".join('"' + part.replace('"', '""') + '"' for part in body))
        elif name == "Placeholder":
            pieces.append(f"%({body})s" if body else "%s")
        else:
            pieces.append("?")
    return "".join(pieces)


# Every alternative either matches or fails within the characters that the next one consumes: no backtracking grows.
# A string that does not end is a string up to the end of what is read; so is a quoted name.
_PLAIN = r"'[^']*(?:''[^']*)*'?"
_BACKSLASH = r"'[^'\\]*(?:(?:\\.|'')[^'\\]*)*'?"
_BACKSLASH_DOUBLE = _BACKSLASH.replace("'", '"')
# Is the quote in 'a\' the end? Half of the databases say yes. Unknown dialect: what follows is masked.
_UNSURE = r"'[^'\\]*(?:(?:\\[^']|'')[^'\\]*)*(?:\\'.*|')?"
_UNSURE_DOUBLE = _UNSURE.replace("'", '"')
_ORACLE_Q = r"[nN]?[qQ]'(?:\[.*?(?:\]'|\Z)|\{.*?(?:\}'|\Z)|\(.*?(?:\)'|\Z)|<.*?(?:>'|\Z))"
_DOLLAR = r"\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)"
_NAME = r'"[^"]*(?:""[^"]*)*"(?!")'
_BACKTICK = r"`[^`]*(?:``[^`]*)*`(?!`)"
_DASHES = r"--[^\n]*"


class _Dialect:
    """How to cut a dialect into tokens.

    quotes: may "x" be a value? 0: no; 1: where a value is due (SQLite takes it for one); 2: unless it is surely a name.
    """

    __slots__ = ("nested", "pattern", "quotes", "source")

    def __init__(self, value: str, name: str, comment: str, quotes: int = 0, nested: bool = False) -> None:
        self.source = (
            rf"(?P<comment>{comment}|/\*)|(?P<name>{name})|(?P<value>{value}|\.?\d[\w.]*(?:(?<=[eE])[+-]\d[\w.]*)?)"
            r"|(?P<word>[^\W\d][\w$]*)"
            r"|(?P<param>\?\d*|%(?:\([^\W\d][\w .-]{0,62}\))?[sbtd](?!\w)|:[^\W\d]\w*|(?<![\w\])]):\d+"
            r"|\$\w+\b(?!\.\d)|@{1,2}[^\W\d][\w$.]*)"
            r"|(?P<sign>::|\S)"
        )
        self.pattern: re.Pattern[str] | None = None
        self.quotes = quotes
        self.nested = nested

    def tokens(self, text: str) -> Iterator[tuple[str, str, bool, int]]:
        """(kind, token, whether white space or a comment stands before it, its end). No character is read twice."""
        if self.pattern is None:  # compiled when first needed: half a millisecond each
            self.pattern = re.compile(self.source, re.DOTALL)
        position = end = 0
        while position < len(text):
            for match in self.pattern.finditer(text, position):
                kind, token = match.lastgroup or "sign", match.group()
                start, position = match.span()
                if kind != "comment":
                    yield kind, token, start > end, position
                    end = position
                elif token == "/*":
                    position = self._comment_end(text, position)
                    break
            else:
                return

    def _comment_end(self, text: str, position: int) -> int:
        depth = 1
        for match in re.compile(r"/\*|\*/").finditer(text, position):
            closing = match.group() == "*/"
            depth += -1 if closing else 1
            if depth == 0 or (closing and not self.nested):
                return match.end()
        return len(text)


_GENERIC = _Dialect(
    rf"{_ORACLE_Q}|(?:[bBeEnNrRxX]|[uU]&)?{_UNSURE}|{_UNSURE_DOUBLE}|`.*",
    rf'"[^"\\]*(?:""[^"\\]*)*"(?!")|{_BACKTICK}|\[[^\W\d][\w $]*\]',
    _DASHES,
    quotes=2,
)
_DIALECTS = {
    "postgresql": _Dialect(
        rf"[eE]{_BACKSLASH}|(?:[bBnNxX]|[uU]&)?{_PLAIN}|{_DOLLAR}|\".*",
        rf"(?:[uU]&)?{_NAME}",
        r"--[^\r\n]*",
        nested=True,
    ),
    # /*! ... */ is executed: its edges are comments, what is inside is not.
    "mysql": _Dialect(
        rf"[bBnNxX]?{_BACKSLASH}|{_BACKSLASH_DOUBLE}|`.*",
        _BACKTICK,
        r"--(?=\s|\Z)[^\n]*|\#[^\n]*|/\*M?!\d*|\*/(?!\*)",
    ),
    "sqlite": _Dialect(rf'[xX]?{_PLAIN}|["`].*|\[[^\]]*\Z', rf"{_NAME}|{_BACKTICK}|\[[^\]]*\]", _DASHES, quotes=1),
}
_DIALECTS["mariadb"] = _DIALECTS["mysql"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Any other first word is no SQL that is known: operation ''.
_BARE_VERBS = _words(
    "SELECT DELETE VALUES WITH EXPLAIN DESCRIBE DESC SHOW USE SET RESET BEGIN START COMMIT END ROLLBACK ABORT SAVEPOINT "
    "RELEASE PREPARE DEALLOCATE DECLARE FETCH MOVE CLOSE OPEN GRANT REVOKE COMMENT DO LISTEN UNLISTEN NOTIFY DISCARD "
    "CHECKPOINT VACUUM REINDEX REFRESH CLUSTER OPTIMIZE CHECK REPAIR FLUSH KILL LOAD UNLOCK IMPORT EXPORT RENAME "
    "ATTACH DETACH SECURITY REASSIGN HANDLER PURGE XA IF"
)
_VERBS = {  # verb -> what comes next: a table, a name that is no table, an object to define
    **dict.fromkeys(_BARE_VERBS, ""),
    **dict.fromkeys(_words("INSERT REPLACE MERGE UPDATE TRUNCATE COPY LOCK ANALYZE"), "table"),
    **dict.fromkeys(_words("CALL EXEC EXECUTE PRAGMA"), "name"),
    **dict.fromkeys(_words("CREATE ALTER DROP"), "object"),
}
_NESTED = _words("SELECT INSERT UPDATE DELETE MERGE VALUES WITH")  # verbs within a statement, after these:
_BEFORE_NESTED = _words("( ) AS EXPLAIN ANALYZE VERBOSE PLAN")
_OBJECTS = _words(
    "TABLE VIEW INDEX SCHEMA DATABASE SEQUENCE FUNCTION PROCEDURE TRIGGER TYPE DOMAIN EXTENSION ROLE USER"
)
_BEFORE_NAME = _words(
    "INTO ONLY LATERAL TABLE TABLES IF NOT EXISTS OR REPLACE IGNORE ABORT FAIL ROLLBACK LOW_PRIORITY HIGH_PRIORITY "
    "DELAYED CONCURRENTLY RECURSIVE ON IMMEDIATE OVERWRITE"
)
_AFTER_TABLES = _words(
    "WHERE GROUP ORDER HAVING LIMIT OFFSET FETCH UNION EXCEPT INTERSECT SET WINDOW RETURNING FOR VALUES DEFAULT "
    "CASCADE RESTRICT QUALIFY"
)
# verb -> what its own level, outside of parentheses, holds: FROM counts, a list of tables, a list of WITH's names
_LEVELS = {
    **dict.fromkeys(_words("SELECT DELETE"), "query"),
    **dict.fromkeys(_words("UPDATE TRUNCATE DROP"), "tables"),
    "WITH": "ctes",
}
_BEFORE_VALUE = _words("= < > | LIKE GLOB REGEXP MATCH BETWEEN THEN ELSE ESCAPE")


class _Reader:
    """Follows the tokens: `pieces` become the text, `parts` the summary of the statement at hand."""

    def __init__(self, dialect: _Dialect, mask: bool) -> None:
        self.mask = mask
        self.quotes = dialect.quotes
        self.pieces: list[str] = []
        self.operation = self.table = self.inner_table = ""
        self.summaries: list[str] = []
        # A list of values: where it began in `pieces`, what opened it, its first value, only values? (depth: _begin)
        self.list_start = self.rows_end = 0
        self.opener = self.first_value = ""
        self.only_values = False
        self._begin()

    def _begin(self) -> None:
        self.parts: list[str] = []
        self.previous = ""  # last token: a word in upper case, a sign, else '?'
        self.verb = ""
        self.with_main = False  # the statement began with WITH: its operation comes after the parenthesis
        self.ctes: set[str] = set()
        self.levels = [""]  # for each open parenthesis: '', 'query' (FROM counts), 'tables', 'ctes', 'list'
        self.expect = ""  # the next name is a 'table', 'name', 'cte'; the next word an 'object'
        self.target = self.target_kind = self.target_shown = ""
        self.list_depth = 0

    # -- text ---------------------------------------------------------------------------------------------------------

    def value(self, token: str, gap: str, kind: str) -> None:
        shown = token if kind == "param" or not self.mask else "?"
        self.pieces.append(gap + shown)
        self.expect = ""
        self.first_value = self.first_value or shown
        self.previous = "?"

    def name(self, token: str, gap: str, dotted: bool) -> None:
        """A quoted name; or, where the dialect leaves that open, a value."""
        joined = dotted or self.previous == "." or bool(self.expect)
        if token[0] == '"' and not joined:
            due = self.previous in _BEFORE_VALUE or self.levels[-1] == "list"
            if self.quotes == 2 or (self.quotes == 1 and due):
                return self.value(token, gap, "value")
        self.pieces.append(gap + token)
        self.only_values = False
        shown = token.lstrip("uU&")
        plain = shown[1:-1].replace(shown[0] * 2, shown[0])
        self._target(plain, shown if any(c.isspace() for c in plain) else plain)
        self.previous = "name"

    def sign(self, token: str, gap: str) -> None:
        self.pieces.append(gap + token)
        if token == "(":
            self._open()
        elif token == ")":
            self._close()
        elif token == ";":
            self._end()
        elif token == ",":
            self.expect = {"tables": "table", "ctes": "cte"}.get(self.levels[-1], "")
            self.previous = "ROW," if self.previous == "ROW)" else ","
        else:
            if token not in "+-":
                self.only_values = False
            if token != ".":
                self.expect = ""
            self.previous = token

    def _open(self) -> None:
        row = self.previous in ("VALUES", "VALUE", "ROW,")
        nested_value = self.levels[-1] == "list" and self.only_values and self.previous in ("(", ",")
        if nested_value:
            self.levels.append("list")
        elif self.mask and (row or self.previous == "IN"):
            self.levels.append("list")
            self.list_start, self.list_depth, self.opener = len(self.pieces), len(self.levels), self.previous
            self.first_value, self.only_values = "", True
        else:
            self.levels.append("tables" if self.expect == "table" else "")
            self.only_values = False
        if self.expect != "table":
            self.expect = ""
        self.previous = "("

    def _close(self) -> None:
        depth = len(self.levels)
        if depth > 1:
            self.levels.pop()
        self.expect = ""
        self.previous = ")"
        if depth == self.list_depth:
            self._shorten_list(")")
            self.list_depth = 0
            if self.opener != "IN":
                self.previous = "ROW)"

    def _shorten_list(self, end: str) -> None:
        """(?, ?, ?) becomes (?); of the rows of VALUES only the first stays."""
        if self.opener == "ROW,":
            del self.pieces[self.rows_end :]
            return
        if self.only_values and self.first_value:
            self.pieces[self.list_start :] = [self.first_value + end]
        self.rows_end = len(self.pieces)

    # -- summary ------------------------------------------------------------------------------------------------------

    def word(self, token: str, gap: str) -> None:
        self.pieces.append(gap + token)
        self.only_values = False
        word = token.upper()
        if self._is_verb(word):
            self._verb(word)
        elif self.expect == "object":
            if word in _OBJECTS:
                self._object(word)
        elif self.target and self.previous == ".":
            self._target(token, token)
        elif word in _AFTER_TABLES:
            self.expect = ""
            if self.levels[-1] == "tables":
                self.levels[-1] = "query"
        elif word == "FROM":
            if self.levels[-1] in ("query", "tables") and self.previous != "DISTINCT":
                self.levels[-1], self.expect = "tables", "table"
        elif word in ("JOIN", "STRAIGHT_JOIN") or (word == "USING" and self.verb in ("DELETE", "MERGE")):
            self.expect = "table"
        elif self.expect and word not in _BEFORE_NAME:
            self._target(token, token)
        self.previous = word

    def _is_verb(self, word: str) -> bool:
        if not self.previous:
            return word in _VERBS
        if word == "SELECT":
            return self.verb not in ("GRANT", "REVOKE") and self.expect != "object"
        return (
            word in _NESTED and self.previous in _BEFORE_NESTED and (self.previous != ")" or self.levels[-1] == "ctes")
        )

    def _verb(self, word: str) -> None:
        outermost = len(self.levels) == 1
        self.expect = _VERBS[word]
        self.verb = word
        self.levels[-1] = _LEVELS.get(word, "")
        if word == "WITH":
            self.expect = "cte"
            self.with_main = self.with_main or outermost
            return
        if word != "VALUES" or not self.parts:
            self.parts.append(word)
        if not self.operation and (outermost or not self.with_main):
            self.operation = word

    def _object(self, word: str) -> None:
        if self.operation == self.parts[-1]:
            self.operation += " " + word
        self.parts[-1] += " " + word
        self.expect = "table" if word in ("TABLE", "VIEW") else "name"

    def _target(self, plain: str, shown: str) -> None:
        """A name, or what follows the dot within one."""
        if self.target and self.previous == ".":
            self.target += "." + plain
            self.target_shown += "." + shown
        elif self.expect and plain:
            self.target, self.target_shown, self.target_kind = plain, shown, self.expect
            self.expect = ""

    def settle(self, next_token: str) -> None:
        """The name is complete: what was it?"""
        name, kind, self.target = self.target, self.target_kind, ""
        if kind == "cte":
            self.ctes.add(name.lower())
        elif name.lower() not in self.ctes:
            self.parts.append(self.target_shown)
            function = next_token == "(" and self.levels[-1] == "tables"
            if kind == "table" and not function and not self.summaries:
                if len(self.levels) == 1:
                    self.table = self.table or name
                else:
                    self.inner_table = self.inner_table or name

    def _end(self) -> None:
        if self.target:
            self.settle(";")
        summary = " ".join(self.parts)
        if summary and self.summaries[-1:] != [summary]:
            self.summaries.append(summary)
        self._begin()


def _read(text: str, dialect: str, mask: bool, limit: int) -> Statement:
    cutter = _DIALECTS.get(dialect, _GENERIC)
    cut = len(text) > limit + SLACK
    text = text[: limit + SLACK]
    reader = _Reader(cutter, mask)
    for kind, token, apart, end in cutter.tokens(text):
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
        reader.target = ""  # perhaps the half of a name
        if reader.list_depth:
            reader._shorten_list("")
        elif reader.previous == "ROW,":
            del reader.pieces[reader.rows_end :]
    reader._end()
    shown = "".join(reader.pieces).strip().encode("utf-8", "replace").decode()  # no lone surrogates: exporters encode
    if cut or len(shown) > limit:
        shown = (shown[: max(limit - 3, 0)].rstrip() + "...")[:limit]
    return Statement(reader.operation, reader.table or reader.inner_table, _fit("; ".join(reader.summaries)), shown)


def _fit(summary: str) -> str:
    """At most SUMMARY_LIMIT characters, without half an operation or half a name."""
    if len(summary) <= SUMMARY_LIMIT:
        return summary
    return summary[: SUMMARY_LIMIT + 1].rpartition(" ")[0].rstrip(";")
