"""Cut a statement into tokens: one regular expression a dialect, in linear time on any text."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# Every alternative either matches or fails within the characters that the next one consumes, so that backtracking never
# grows. A string or a quoted name without an end reaches to the end of the text.
_PLAIN = r"'[^']*(?:''[^']*)*'?"
_BACKSLASH = r"'[^'\\]*(?:(?:\\.|'')[^'\\]*)*'?"
_BACKSLASH_DOUBLE = _BACKSLASH.replace("'", '"')
# Is the quote in 'a\' the end? Half of the databases say yes. In an unknown dialect the rest is masked.
_UNSURE = r"'[^'\\]*(?:(?:\\[^']|'')[^'\\]*)*(?:\\'.*|')?"
_UNSURE_DOUBLE = _UNSURE.replace("'", '"')
# PostgreSQL: after a line break a string continues, by the rules that it began with.
_CONTINUED = rf"{_BACKSLASH}(?:(?:\s|--[^\r\n]*[\r\n])*{_BACKSLASH})*"
_ORACLE_Q = (
    r"[nN]?[qQ]'(?:\[.*?(?:\]'|\Z)|\{.*?(?:\}'|\Z)|\(.*?(?:\)'|\Z)|<.*?(?:>'|\Z)"
    r"|(?P<mark>[^\s\[{(<]).*?(?:(?P=mark)'|\Z))"
)
_DOLLAR = r"\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)"
_NAME = r'"[^"]*(?:""[^"]*)*"(?!")'
_BACKTICK = r"`[^`]*(?:``[^`]*)*`(?!`)"
_DASHES = r"--[^\n]*"
# Unknown dialect: '''a'b''' of BigQuery; the name [it's] of SQL Server or the array ['a']; `#` before a comment
# of MySQL, or an operator, or a name. If the ambiguity decides where a string ends, the rest is masked too.
_TRIPLE = r"(?:'''|\"\"\").*"
_BRACKET = r"\[[^\[\]']*(?:'[^\[\]']*'[^\[\]']*)*'[^\[\]']*\].*"
_ODD = r"[^\n'#]*(?:'[^\n'#]*'[^\n'#]*)*'[^\n'#]*(?:\n|\Z)"
_HASH = rf"\#(?:(?![\w#>-])[^\n#'\"`$\[/]*['\"`$\[/]|{_ODD}).*"


class Dialect:
    """How to cut a dialect into tokens.

    quotes: may "x" be a value? 0: no; 1: where a value is expected, as in SQLite; 2: unless it is surely a name.
    nested: do comments nest? None: unknown, so that a comment that holds another hides all the rest.
    """

    __slots__ = ("nested", "pattern", "quotes", "source")

    def __init__(self, value: str, name: str, comment: str, quotes: int = 0, nested: bool | None = False) -> None:
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
        """(kind, token, is there white space or a comment before it, its end). No character is read twice."""
        if self.pattern is None:  # compiled on first use, because it takes half a millisecond
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
            if self.nested is None:
                break
        return len(text)


GENERIC = Dialect(
    rf"{_ORACLE_Q}|{_DOLLAR}|(?:[bBeEnNrRxX]|[uU]&)?(?:{_TRIPLE}|{_UNSURE})|{_UNSURE_DOUBLE}|`.*|{_BRACKET}|{_HASH}",
    rf'"(?!"")[^"\\]*(?:""[^"\\]*)*"(?!")|{_BACKTICK}|\[[^\W\d][\w $]*\]',
    _DASHES,
    quotes=2,
    nested=None,
)
DIALECTS = {
    "postgresql": Dialect(
        rf"[eE]{_CONTINUED}|(?:[bBnNxX]|[uU]&)?{_PLAIN}|{_DOLLAR}|\".*",
        rf"(?:[uU]&)?{_NAME}",
        r"--[^\r\n]*",
        nested=True,
    ),
    # /*! ... */ is executed: only its edges are comments.
    "mysql": Dialect(
        rf"[bBnNxX]?{_BACKSLASH}|{_BACKSLASH_DOUBLE}|`.*",
        _BACKTICK,
        r"--(?=[\x00-\x20\x7f]|\Z)[^\n]*|\#[^\n]*|/\*M?!\d*|\*/(?!\*)",
    ),
    "sqlite": Dialect(rf'[xX]?{_PLAIN}|["`].*|\[[^\]]*\Z', rf"{_NAME}|{_BACKTICK}|\[[^\]]*\]", _DASHES, quotes=1),
}
DIALECTS["mariadb"] = DIALECTS["mysql"]
DIALECTS["duckdb"] = DIALECTS["postgresql"]  # they share the lexer
