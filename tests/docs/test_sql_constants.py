"""No SQL is ever made from data: what reaches a database is text that stands in the code."""

from pathlib import Path

import pytest
from sqltext import files_of, problems

import ecom

# The few functions that put SQL together, and from what.
BUILDERS = {
    "ecom/stores/sqlite.py": {
        "Columns.__init__": "the fields and the table of a Row class",
        "_where": "columns that it has looked up among those fields, and operators",
        "_put": "the table and the fields of a Row class, and numbers",
        "_change": "columns that it has looked up, too",
        "create": "the tables and indexes of Row classes",
    },
    "ecom/effects/journal.py": {"Journal.__init__": "a table and columns named by its two users"},
    "ecom/shop/frames.py": {"table": "a table that it has found in the database's own list"},
    "ecom/shop/views.py": {"install": "the views that the same file holds"},
}


def test_no_sql_is_made_from_data():
    """But for the builders above, every text that is executed is a constant."""
    assert problems(files_of(Path(ecom.__file__).parent), BUILDERS) == []


def test_every_builder_is_still_there():
    """A list of exceptions that outlives its reasons would excuse what nobody has looked at."""
    files = files_of(Path(ecom.__file__).parent)
    for path, names in BUILDERS.items():
        for name in names:
            others = {**BUILDERS, path: names.keys() - {name}}
            assert any(path in problem for problem in problems(files, others)), (path, name)


@pytest.mark.parametrize(
    "code",
    [
        'db.execute(f"SELECT * FROM orders WHERE customer = {customer!r}")',
        'db.execute("SELECT * FROM orders WHERE customer = " + customer)',
        'db.execute("SELECT * FROM orders WHERE customer = %s" % customer)',
        'db.execute("SELECT * FROM {}".format(table))',
        'db.execute(" ".join(words))',
        "db.execute(sql())",
        "db.execute(*given)",
        "list(map(db.execute, given))",
        "db.execute(sql=given.text)",
        "db.executescript(open(path).read())",
        "pandas.read_sql_query(request.query, db)",
        'for table in tables: db.query(f"SELECT * FROM {table}")',
        'sql = "SELECT 1"\nsql += given\ndb.execute(sql)',
        'def run(sql): db.execute(sql)\nrun(f"SELECT {given}")',
        "def run(sql): db.execute(sql)\ndef walk(text): run(text)\nwalk(input())",
        'def run(db, sql):\n    sql = sql + given\n    db.execute(sql)\nrun(db, "SELECT 1")',
        'class Store:\n  def run(self, sql): db.execute(sql)\n  def all(self): self.run(f"{it}")',
        'def run(n, sql="SELECT 1"): db.execute(sql)\nrun(1, sql=given)',
    ],
)
def test_what_is_made_from_data_is_found(code):
    """However it is put together, and through however many hands it goes."""
    assert len(problems({"ecom/x.py": code}, {})) == 1


@pytest.mark.parametrize(
    "code",
    [
        'db.execute("SELECT * FROM orders WHERE customer = ?", (customer,))',
        'ALL = "SELECT *"\ndb.execute(f"{ALL} FROM orders " + "ORDER BY number")',
        'def f():\n    query = "SELECT 1"\n    return db.execute(query, given)',
        'def run(sql, *values): db.execute(sql, values)\nrun("SELECT ?", given)',
        "from ecom.y import ALL\ndb.execute(ALL, (given,))",
    ],
)
def test_what_is_constant_passes(code):
    assert problems({"ecom/x.py": code, "ecom/y.py": 'ALL = "SELECT 1"'}, {}) == []
