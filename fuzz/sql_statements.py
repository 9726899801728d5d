"""Statements made of a fuzzer's bytes: whole tokens of a dialect, whose literals and comments hold a marked secret.

The same bytes make the same statement on every machine. Tokens stand in any order: they are lexically right, not
grammar.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SECRET = "zqxj"
SECRET_NUMBER = "8642097531"
DIALECTS = ("", "postgresql", "mysql", "mariadb", "sqlite", "oracle")

KEYWORDS = (
    "SELECT INSERT INTO UPDATE DELETE FROM WHERE VALUES SET WITH RECURSIVE AS IN JOIN USING ON AND OR NOT LIKE BETWEEN CASE WHEN "
    "THEN ELSE END UNION ALL ORDER BY LIMIT CALL EXEC CREATE TABLE VIEW INDEX IF EXISTS DROP ALTER MERGE REPLACE COPY TRUNCATE "
    "EXPLAIN ANALYZE GRANT BEGIN COMMIT RETURNING DISTINCT ONLY LATERAL PRAGMA EXECUTE select from in values IS NULL E N X b q"
).split()
NAMES = ("t", "public.orders", "a.b.c", "_utf8", "v$session", "naïve", "t1")
QUOTED_NAMES = {
    "postgresql": ('"T"', '"a""b"', '"it\'s"', 'u&"d"', '"s"."t"'),
    "mysql": ("`t`", "`a``b`", "`it's`", "`s`.`t`"),
    "sqlite": ("`t`", "[t]", "[it's]"),
    "": ("`t`", "[t]", "[my table]", "[it's]", "['a']", "#t"),
}
SIGNS = (
    "(",
    ")",
    ",",
    ";",
    "=",
    "<",
    "+",
    "-",
    "*",
    "/",
    "%",
    "::",
    ":",
    "||",
    "[",
    "]",
    ".",
    "@",
    "{",
    "}",
    "!",
    "&",
    "^",
    "~",
)
BEFORE_ANY = ("(", ")", ",", ";", "=")
"""Signs that may stand right before a token of any kind, for no token begins with their end."""
PARAMETERS = ("?", "%s", "%(a)s", ":a", "$1", "@p", "@@v", "?1", ":1")
CONTENTS = (
    SECRET, " ", "'", '"', "`", "\\", "''", '""', "\\'", "--", "/*", "*/", "#", ";", "\n", "\r", "$", "$$", "$zq$", "(", ")", "[",
    "]", ",", "%s", "?", ":a", " FROM ", "SELECT", "é", "\ud800", "\x00", "1", "]'", ">'", "!'", "E'", "\\\\",
)  # fmt: skip
LONG = 10_000
"""Characters that a repeated part may have."""
SPACES = (" ", "\n", "\t", "  ", "\r\n", "\f")


class Choices:
    """The fuzzer's bytes as decisions; when they are used up, each decision is the first."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def number(self, below: int) -> int:
        if self.position >= len(self.data):
            return 0
        self.position += 1
        return self.data[self.position - 1] % below

    def one(self, of: Sequence[str]) -> str:
        return of[self.number(len(of))]

    def more(self) -> bool:
        return self.position < len(self.data)


def content(choices: Choices) -> str:
    """What a literal holds: the secret, and what could make a reader believe that it had ended."""
    pieces = [choices.one(CONTENTS) for _ in range(choices.number(8))]
    padding = "x" * (choices.number(16) * 200 if choices.number(8) == 7 else 0)
    return "".join(pieces) + padding + SECRET + "".join(choices.one(CONTENTS) for _ in range(choices.number(4)))


def _doubled(quote: str, prefix: str = "") -> Callable[[str], str]:
    return lambda text: prefix + quote + text.replace(quote, 2 * quote) + quote


def _escaped(quote: str, prefix: str = "") -> Callable[[str], str]:
    return lambda text: prefix + quote + text.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote


def _between(opening: str, closing: str) -> Callable[[str], str]:
    """Up to `closing` whatever comes; the last character must not begin it."""

    def literal(text: str) -> str:
        while closing in text:
            text = text.replace(closing, "")
        return opening + text.rstrip(closing[0]) + closing

    return literal


def _continued(text: str) -> str:
    """PostgreSQL: a string goes on behind a line break, by the rules with which it began."""
    return _escaped("'", "E")(text) + " \n\t" + _escaped("'")(text)


# With "=" before it: elsewhere "x" may be a name.
_LIKE_MYSQL = (_doubled('"', "= "), _escaped('"', "= "))
LITERALS: dict[str, tuple[Callable[[str], str], ...]] = {
    "postgresql": (
        _doubled("'"), _doubled("'", "U&"), _doubled("'", "N"), _escaped("'", "E"), _escaped("'", "e"), _between("$$", "$$"),
        _between("$zq$", "$zq$"), _between("$é$", "$é$"), _continued,
    ),
    "mysql": (_escaped("'"), _escaped('"'), _escaped("'", "N"), _escaped("'", "_utf8 "), lambda text: _doubled("'")(text.replace("\\", ""))),
    "sqlite": (_doubled("'"), _doubled("'", "x"), _doubled('"', "= ")),
    "": (
        _doubled("'"), _escaped("'"), _escaped("'", "E"), _doubled("'", "N"), _between("$$", "$$"), _between("$zq$", "$zq$"),
        _between("q'[", "]'"), _between("Q'{", "}'"), _between("nq'<", ">'"), _between("q'(", ")'"), _between("q'!", "!'"),
        _between("q'é", "é'"), _between("q'|", "|'"), _between("'''", "'''"), _between('= """', '"""'), *_LIKE_MYSQL,
    ),
}  # fmt: skip
UNENDED = {
    "postgresql": ("'", "E'", "$$", "$zq$", "U&'", '"', 'U&"'),
    "mysql": ("'", '"', "N'", "`"),
    "sqlite": ("'", "x'", '"', "`", "["),
    "": ("'", "E'", "q'[", "q'!", '= "', "`", "$$", "$zq$"),
}
NUMBERS = ("{}", "-{}", "{}.5", ".{}", "{}e5", "1.{}", "0x{}", "{}E-{}", "1e{}", "{}_000", "+{}")


def statement(choices: Choices, dialect: str) -> str:
    """A statement of `dialect` in which SECRET and SECRET_NUMBER stand in literals and comments only."""
    rules = {"mariadb": "mysql", "oracle": ""}.get(dialect, dialect)
    pieces = [choices.one(("", *KEYWORDS[:9]))]
    while choices.more() and len(pieces) < 400:
        pieces.append("" if pieces[-1] in BEFORE_ANY and choices.number(2) else space(choices, rules))
        pieces.append(token(choices, rules))
        if choices.number(16) == 15:
            again = "".join(pieces[1:][-2 * choices.number(4) - 2 :]) + " "
            pieces += [" ", again * min(choices.number(40), LONG // len(again))]
    if choices.number(4) == 3:
        pieces += [" ", choices.one(UNENDED[rules]), SECRET, " 5, ", SECRET]
    return "".join(pieces)


def token(choices: Choices, rules: str) -> str:
    kind = choices.number(8)
    if kind in (0, 1):
        return choices.one(KEYWORDS)
    if kind == 2:
        sign = choices.one(SIGNS)
        return sign if rules != "sqlite" or sign != "[" else "("  # there it begins a name
    if kind == 3:
        return choices.one((*NAMES, *QUOTED_NAMES[rules], *PARAMETERS))
    if kind == 4:
        return choices.one(NUMBERS).replace("{}", SECRET_NUMBER)
    if kind == 5 and rules == "mysql":
        return "/*!40101 " + token(choices, rules) + " */" if choices.number(2) and choices.more() else "= 1"
    if kind == 6:
        return rows(choices, rules)
    return literal(choices, rules)


def rows(choices: Choices, rules: str) -> str:
    """Lists of values, which are shortened: `VALUES (…), (…)`, `IN (…)`, with something else among them at times."""
    made = []
    for _ in range(1 + choices.number(4)):
        values = [literal(choices, rules).lstrip(", ") for _ in range(1 + choices.number(3))]
        others = ("1", "NULL", "f(2)", "-3", "(4)", "%s", "?", "a.b", "(SELECT 5)")
        values += [choices.one(others) for _ in range(choices.number(3))]
        made.append("(" + ", ".join(values) + ")")
    rest = ", " + ", ".join(made)
    repeated = rest * min(choices.number(8) ** 2, LONG // len(rest)) if choices.number(4) == 0 else ""
    return choices.one(("VALUES", "IN", "VALUES ROW", "VALUE")) + " " + ", ".join(made) + repeated


def literal(choices: Choices, rules: str) -> str:
    made = LITERALS[rules][choices.number(len(LITERALS[rules]))](content(choices))
    return ", " + made if rules == "postgresql" else made  # else it could go on with the string before


def space(choices: Choices, rules: str) -> str:
    """White space or a comment."""
    kind = choices.number(8)
    if kind < 5:
        return choices.one(SPACES)
    inside = content(choices)
    if kind == 5:
        return " -- " + inside.replace("\n", "").replace("\r", "") + "\n"
    if kind == 6 and rules == "mysql":
        return choices.one((" # ", " --\x01 ", " --\t")) + inside.replace("\n", "") + "\n"
    if kind == 6 and rules == "" and choices.number(4) == 0:
        quotes = (
            inside.replace("\n", "").replace("#", "").replace(SECRET, "")
        )  # to some it is no comment, so it may be shown
        return f" # {quotes}\n"
    inside = inside.replace("*/", "").replace("/*", "").replace("*", "").replace("/", "")
    nests = rules == "postgresql" or (rules == "" and choices.number(4) == 0)
    return f" /* {inside} /* {inside} */ {inside} */ " if nests and kind == 7 else f" /* {inside} */ "
