"""Texts of exceptions without the values in them: what databases quote, passwords in URLs and connection strings.

Used by exporters, never on the program's thread. AUTOTRACE_MASK_STATEMENTS=false leaves the texts whole. Names of
tables, columns, constraints and servers stay where the text says what they are. If it is open whether something is a
value, it is masked. Limit: an exception of the program's own that repeats a value in words of its own.
"""

from __future__ import annotations

import ast
import re

from autotrace.containment import contained
from autotrace.settings import in_force

enabled = in_force().mask_statements
READ = 8192
"""Characters of a text that are read; the rest is left out."""
REDACTED = "REDACTED"
_SEPARATORS = re.compile(r"[\W_]+")
_secrets = {_SEPARATORS.sub("", name).lower() for name in in_force().secret_parameters}

_DRIVERS = frozenset(
    "psycopg psycopg2 asyncpg pg8000 aiopg pymysql MySQLdb mysql mariadb cymysql aiomysql asyncmy sqlite3 pysqlite3 "
    "aiosqlite oracledb cx_Oracle pyodbc aioodbc pymssql duckdb _duckdb sqlalchemy django peewee tortoise".split()
).union(name.partition(".")[0] for name in in_force().dbapi)
"""Packages whose exceptions repeat what a database said."""
_TOLD_BY_A_DATABASE = re.compile(
    r"\)=\(|(?:\n|\\n)(?:LINE \d+|DETAIL): |Duplicate (?:entry|key) |\[(?:SQL|parameters): |Failing row contains"
    r"|\bnear \\?['\"]|invalid input |[Ii]ncorrect \w+ value: |column values \(|duplicate key value "
    r"|Could not convert string|converting the \w+ value|unrecognized token: |ORA-\d{5}"
)
"""A driver's text in an exception of another library, or of the program's own."""

# -- secrets ----------------------------------------------------------------------------------------------------------

# A malformed URL may hold `/`, `?` or `@` in its password. HTTP URLs hold `@` behind the host instead.
_USER = re.compile(r"(?i)(\bhttps?://)[^\s/?#\"'<>]*@|(\b(?!https?:)[a-z][\w+.-]*://)[^\s\"'<>]*@")
_PAIR = re.compile(
    r"(?P<name>[\w$.\[\]-]+)(?P<equals>['\"]?\s{0,2}=\s{0,2}|['\"]\]?\s{0,2}:\s{0,2}|:\s{0,2}(?=['\"]))"
    r"(?:'(?:\\.|[^'\\])*'?|\"(?:\\.|[^\"\\])*\"?|\{[^}]*\}?|[^\s&;'\"<>]+)"
)


def _pair(found: re.Match[str]) -> str:
    words = [_SEPARATORS.sub("", word).lower() for word in (found["name"], *re.split(r"[\[\].$]", found["name"]))]
    return f"{found['name']}{found['equals']}{REDACTED}" if not _secrets.isdisjoint(words) else found[0]


def _without_secrets(text: str) -> str:
    if "://" in text:
        text = _USER.sub(lambda found: f"{found[1] or found[2]}{REDACTED}@", text)
    return _PAIR.sub(_pair, text) if "=" in text or ":" in text else text


# -- values -----------------------------------------------------------------------------------------------------------

_NAME = r"(?:'[\w$.:-]{1,64}'|\"[\w$.-]{1,64}\"|`[^`]{1,64}`)"
_NOUNS = (
    r"(?i:relation|table|view|column|constraint|index|schema|database|user|role|function|procedure|trigger|sequence"
    r"|extension|type|savepoint|cursor|for key|for parameter|server at|server on|host name|socket|object name)"
)
_CLAUSE = r"'(?:[A-Z ]{2,12}|[a-z]+ (?:list|clause|statement))'"
_NAMED = rf"\b(?:{_NOUNS}\s{_NAME}(?:[.@]{_NAME})*|in {_CLAUSE})"
_REST = rf"(?:[^'\"`»«]|`[^`]{{1,64}}`|(?<=\w)'(?=\w)|{_NAMED})*\Z"
_QUOTED = re.compile(
    rf"(?P<named>{_NAMED})|(?<!\w)(?:'.*?'(?={_REST})|\".*?\"(?={_REST})|».*?«(?={_REST})|['\"»].*)", re.DOTALL
)
_KEY = re.compile(
    r"\)=\(.*\)(?= (?:already exists|is not present in|is still referenced|is duplicated|conflicts with))|\)=\(.*",
    re.DOTALL,
)
_VALUES = re.compile(r"\b((?:values?(?: is)?|contains) )\(.*\)?", re.DOTALL)
_STATEMENT = re.compile(r"\[(SQL|parameters): .*", re.DOTALL)
_ARGUMENT = re.compile(r"(argument \$\d+: ).*", re.DOTALL)
_SECTION = re.compile(r"(?:\n|\\n)(?=[^\W\d]{3,20}(?: \d+)?\s?: )")
_ARGUMENTS = re.compile(r"\A((?:[\w.]+: )?(?:\([\w.]+\) )?\((?:\d+|'\w+'), (['\"]))(.*)(\2\))", re.DOTALL)
"""An exception's arguments as a tuple: (1062, "Duplicate entry …")."""
_SHOWN_FIELDS = frozenset("SVCstcdn")
"""Fields of PostgreSQL's answer that hold no value: severity, SQLSTATE, schema, table, column, type, constraint."""


def _without_values(text: str) -> str:
    if text.startswith("{'S': "):
        return _fields(text)
    arguments = _ARGUMENTS.search(text)
    if arguments is not None:
        return f"{arguments[1]}{_message(arguments[3])}{arguments[4]}{_message(text[arguments.end() :])}"
    return _message(text)


def _fields(text: str) -> str:
    """pg8000 shows PostgreSQL's answer as a dictionary."""
    try:
        fields = ast.literal_eval(text)
    except (ValueError, SyntaxError):  # cut
        return "?"
    shown = {name: value for name, value in fields.items() if name in _SHOWN_FIELDS}
    return str({**shown, "M": _message(str(fields.get("M", "")))})


def _message(text: str) -> str:
    """What a server said: a first line, and sections (`DETAIL: …`, `LINE 1: …`, in the server's language)."""
    text = _STATEMENT.sub(r"[\1: ?]", text)
    text = _KEY.sub(")=(?)", text)
    first, *sections = _SECTION.split(text)
    shown = [_line(first)]
    for section in sections:
        label, _, rest = section.partition(":")
        keep = label in ("HINT", "Help") or rest.lstrip().startswith("Key (")
        shown.append(_line(section) if keep else f"{label}: ?")
    return "\n".join(shown)


def _line(text: str) -> str:
    text = _ARGUMENT.sub(r"\1?", text)
    text = _VALUES.sub(r"\1(?)", text)
    return _QUOTED.sub(lambda found: found["named"] or "?", text)


# -- texts ------------------------------------------------------------------------------------------------------------


def is_from_driver(kind: str, file: str) -> bool:
    """Is an exception of the type `kind`, raised in this file, a driver's? Drivers raise builtin ones, too."""
    return kind.partition(".")[0] in _DRIVERS or not _DRIVERS.isdisjoint(re.split(r"[/\\]", file))


def masked(text: str, kind: str = "", *, database: bool = False) -> str:
    """The text of an exception of the type `kind`. database: a driver raised it, or it left a call on a database."""
    if not enabled:
        return text
    try:
        text = _without_secrets(text[:READ])
        if database or kind.partition(".")[0] in _DRIVERS or _TOLD_BY_A_DATABASE.search(text):
            text = _without_values(text)
    except Exception:
        contained("error_text.masked")
        return "?"
    return text


_TEXTS = re.compile(r"(?m)^(?! {2}).+(?:\n(?! {2}).*)*")
"""Lines of a traceback that are not indented: the texts of exceptions."""


def masked_stack(stack: str, kind: str = "", *, database: bool = False) -> str:
    """A traceback, whose last text is that of an exception of the type `kind`."""
    if not enabled:
        return stack
    start = stack.rfind(f"{kind}: ") if kind else -1
    before, last = (stack, "") if start < 0 else (stack[:start], stack[start + len(kind) + 2 :])
    before = _TEXTS.sub(lambda found: masked(found[0]), before)
    return f"{before}{kind}: {masked(last, kind, database=database)}" if start >= 0 else before
