"""Follow the tokens of a statement to its verbs, its tables and its text without literals. No further grammar."""

from __future__ import annotations

from autotrace.sql.words import AFTER_TABLES, BEFORE_NAME, BEFORE_NESTED, BEFORE_VALUE, LEVELS, NESTED, OBJECTS, VERBS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from autotrace.sql.dialects import Dialect


class Reader:
    """`pieces` become the text, `parts` the summary of the current statement."""

    def __init__(self, dialect: Dialect, mask: bool) -> None:
        self.mask = mask
        self.quotes = dialect.quotes
        self.pieces: list[str] = []
        self.operation = self.table = self.inner_table = ""
        self.summaries: list[str] = []
        # A list of values: its start in `pieces`, the token before it, its first value, does it hold only values?
        self.list_start = self.rows_end = 0
        self.opener = self.first_value = ""
        self.only_values = False
        self._start_statement()

    def _start_statement(self) -> None:
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
        """A quoted name; or a value, if the dialect leaves that open."""
        joined = dotted or self.previous == "." or bool(self.expect)
        if token[0] == '"' and not joined:
            due = self.previous in BEFORE_VALUE or self.levels[-1] == "list"
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
            self.end()
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
            self.shorten_list(")")
            self.list_depth = 0
            if self.opener != "IN":
                self.previous = "ROW)"

    def shorten_list(self, end: str) -> None:
        """(?, ?, ?) becomes (?). Of the rows of VALUES only the first stays."""
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
            if word in OBJECTS:
                self._object(word)
        elif self.target and self.previous == ".":
            self._target(token, token)
        elif word in AFTER_TABLES:
            self.expect = ""
            if self.levels[-1] == "tables":
                self.levels[-1] = "query"
        elif word == "FROM":
            if self.levels[-1] in ("query", "tables") and self.previous != "DISTINCT":
                self.levels[-1], self.expect = "tables", "table"
        elif word in ("JOIN", "STRAIGHT_JOIN") or (word == "USING" and self.verb in ("DELETE", "MERGE")):
            self.expect = "table"
        elif self.expect and word not in BEFORE_NAME:
            self._target(token, token)
        self.previous = word

    def _is_verb(self, word: str) -> bool:
        if not self.previous:
            return word in VERBS
        if word == "SELECT":
            return self.verb not in ("GRANT", "REVOKE") and self.expect != "object"
        return word in NESTED and self.previous in BEFORE_NESTED and (self.previous != ")" or self.levels[-1] == "ctes")

    def _verb(self, word: str) -> None:
        outermost = len(self.levels) == 1
        self.expect = VERBS[word]
        self.verb = word
        self.levels[-1] = LEVELS.get(word, "")
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
        """A name, or the part of a name after a dot."""
        if self.target and self.previous == ".":
            self.target += "." + plain
            self.target_shown += "." + shown
        elif self.expect and plain:
            self.target, self.target_shown, self.target_kind = plain, shown, self.expect
            self.expect = ""

    def settle(self, next_token: str) -> None:
        """Take the complete name for a CTE, a table or a function."""
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

    def end(self) -> None:
        if self.target:
            self.settle(";")
        summary = " ".join(self.parts)
        if summary and self.summaries[-1:] != [summary]:
            self.summaries.append(summary)
        self._start_statement()
