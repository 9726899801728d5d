"""The words of SQL that the reader knows, by their place in a statement. All in upper case."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Any other first word is unknown SQL: its operation is ''.
_BARE_VERBS = _words(
    "SELECT DELETE VALUES WITH EXPLAIN DESCRIBE DESC SHOW USE SET RESET BEGIN START COMMIT END ROLLBACK ABORT "
    "SAVEPOINT RELEASE PREPARE DEALLOCATE DECLARE FETCH MOVE CLOSE OPEN GRANT REVOKE COMMENT DO LISTEN UNLISTEN "
    "NOTIFY DISCARD CHECKPOINT VACUUM REINDEX REFRESH CLUSTER OPTIMIZE CHECK REPAIR FLUSH KILL LOAD UNLOCK IMPORT "
    "EXPORT RENAME ATTACH DETACH SECURITY REASSIGN HANDLER PURGE XA IF"
)
VERBS = {  # verb -> what comes next: a table, a name of anything else, an object to define
    **dict.fromkeys(_BARE_VERBS, ""),
    **dict.fromkeys(_words("INSERT REPLACE MERGE UPDATE TRUNCATE COPY LOCK ANALYZE"), "table"),
    **dict.fromkeys(_words("CALL EXEC EXECUTE PRAGMA"), "name"),
    **dict.fromkeys(_words("CREATE ALTER DROP"), "object"),
}
NESTED = _words("SELECT INSERT UPDATE DELETE MERGE VALUES WITH")  # verbs inside a statement, after BEFORE_NESTED
BEFORE_NESTED = _words("( ) AS EXPLAIN ANALYZE VERBOSE PLAN")
OBJECTS = _words("TABLE VIEW INDEX SCHEMA DATABASE SEQUENCE FUNCTION PROCEDURE TRIGGER TYPE DOMAIN EXTENSION ROLE USER")
BEFORE_NAME = _words(
    "INTO ONLY LATERAL TABLE TABLES IF NOT EXISTS OR REPLACE IGNORE ABORT FAIL ROLLBACK LOW_PRIORITY HIGH_PRIORITY "
    "DELAYED CONCURRENTLY RECURSIVE ON IMMEDIATE OVERWRITE"
)
AFTER_TABLES = _words(
    "WHERE GROUP ORDER HAVING LIMIT OFFSET FETCH UNION EXCEPT INTERSECT SET WINDOW RETURNING FOR VALUES DEFAULT "
    "CASCADE RESTRICT QUALIFY"
)
# verb -> the content of its own level, outside of parentheses: FROM counts, a list of tables, a list of WITH's names
LEVELS = {
    **dict.fromkeys(_words("SELECT DELETE"), "query"),
    **dict.fromkeys(_words("UPDATE TRUNCATE DROP"), "tables"),
    "WITH": "ctes",
}
BEFORE_VALUE = _words("= < > | LIKE GLOB REGEXP MATCH BETWEEN THEN ELSE ESCAPE")
