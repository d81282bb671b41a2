"""Where SQL text comes from: every argument that reaches a database, traced back to constants.

What would take more than this to follow counts as wrong.
A function that passes its own parameter on as SQL is a way to the database, too: whoever calls it
is looked at in turn.
"""

import ast
from functools import cache
from pathlib import Path

# Method → which argument is SQL. The last two are sqlite-utils', which takes them as they are.
WAYS = {"execute": 0, "executemany": 0, "executescript": 0, "query": 0, "read_sql": 0,
        "read_sql_query": 0, "rows_where": 0, "delete_where": 0}  # fmt: skip


class Source:
    """One file: its functions, its names, and those of its functions that may build SQL."""

    def __init__(self, path, text, builders=()):
        self.path, self.tree, self.builders = path, ast.parse(text), set(builders)
        self.loose = []  # ways to the database that are handed on, nobody knows where to
        self.functions = {}  # call → the function it is in; None: the module
        self.of = {}  # function → qualified name
        self._note(self.tree, None, "")
        self.imported = {
            alias.asname or alias.name: (f"{node.module.replace('.', '/')}.py", alias.name)
            for node in ast.walk(self.tree) if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }  # fmt: skip
        # What a builder that is a constructor keeps on its object is SQL that it has built.
        self.built = {
            target.attr
            for function, name in self.of.items() if name in self.builders
            for node in ast.walk(function) if isinstance(node, ast.Assign)
            for target in node.targets if isinstance(target, ast.Attribute)
        }  # fmt: skip

    def _note(self, node, function, name):
        for child in ast.iter_child_nodes(node):
            inner, called = function, name
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                called = f"{name}.{child.name}".lstrip(".")
                if not isinstance(child, ast.ClassDef):
                    inner, self.of[child] = child, called
            elif isinstance(child, ast.Call):
                self.functions[child] = function
            elif _is_execute(child) and child is not getattr(node, "func", None):
                self.loose.append(child)
            self._note(child, inner, called)

    def builds(self, function):
        """Whether this function is one of those that may build SQL."""
        return self.of.get(function) in self.builders


class Tracer:
    """Follows SQL through all files; `problems` names what is no constant."""

    def __init__(self, sources):
        self._sources = {source.path: source for source in sources}
        self._ways = set()  # (path, function name, index of its SQL parameter)
        while True:
            self.problems, before = [], len(self._ways)
            for source in sources:
                for way in source.loose:
                    self._is_wrong(source, way, ast.unparse(way))
                for call, function in source.functions.items():
                    self._look(source, call, function)
            if len(self._ways) == before:
                return

    def _look(self, source, call, function):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(
            call.func, "id", "")  # fmt: skip
        for index, keyword in self._sql_of(source, call, name):
            given = [each.value for each in call.keywords if each.arg == keyword]
            for sql in (*call.args[index : index + 1], *given):
                if not source.builds(function) and not self._is_constant(source, sql, function):
                    self._is_wrong(source, call, ast.unparse(sql))

    def _is_wrong(self, source, call, what):
        self.problems.append(f"{source.path}:{call.lineno}: {what}")

    def _sql_of(self, source, call, name):
        """Which arguments of this call are SQL: (index, keyword)."""
        if isinstance(call.func, ast.Attribute) and name in WAYS:
            yield WAYS[name], "sql"
        at = source.imported.get(name, (source.path, name))
        for path, function, index, parameter, is_method in list(self._ways):
            if (path, function) == at:
                yield index - is_method, parameter

    def _is_constant(self, source, node, function):
        match node:
            case ast.Constant():
                return isinstance(node.value, str)
            case ast.JoinedStr():
                return all(self._is_constant(source, part, function) for part in node.values)
            case ast.FormattedValue():
                return self._is_constant(source, node.value, function)
            case ast.BinOp(op=ast.Add()):
                return all(self._is_constant(source, side, function)
                           for side in (node.left, node.right))  # fmt: skip
            case ast.Attribute():
                return node.attr in source.built
            case ast.Call(func=ast.Name()):
                return node.func.id in source.builders
            case ast.Name():
                return self._is_constant_name(source, node.id, function)
        return False

    def _is_constant_name(self, source, name, function):
        if function is not None:
            if name in (parameters := _parameters(function)):
                is_method = parameters[0] in ("self", "cls")
                way = (source.path, function.name, parameters.index(name), name, is_method)
                self._ways.add(way)
                return name not in _bound(function)  # a parameter that is changed is anything
            if name in _bound(function):
                return self._are_constant(source, name, function, function)
        if name in source.imported:
            path, name = source.imported[name]
            source = self._sources.get(path)
        return source is not None and self._are_constant(source, name, source.tree, None)

    def _are_constant(self, source, name, scope, function):
        values = _bound(scope).get(name, [None])
        return all(value and self._is_constant(source, value, function) for value in values)


def _is_execute(node):
    return isinstance(node, ast.Attribute) and node.attr.startswith("execute")


@cache
def _parameters(function):
    return [each.arg for each in (*function.args.posonlyargs, *function.args.args,
                                  *function.args.kwonlyargs)]  # fmt: skip


@cache
def _bound(scope):
    """Names that are bound here → the values, None for one that is not plainly assigned."""
    found, plain = {}, set()
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(node.value)
                    plain.add(target)
    for node in ast.walk(scope):
        is_bound = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        if is_bound and node not in plain:
            found.setdefault(node.id, []).append(None)
    return found


@cache
def _source(path, text, builders):
    return Source(path, text, builders)


def problems(files, builders):
    """What is no constant in these files (path → text); `builders` by path may build SQL."""
    may = {path: frozenset(builders.get(path, ())) for path in files}
    return Tracer([_source(path, text, may[path]) for path, text in files.items()]).problems


def files_of(root: Path):
    """All Python files of a package, by their path as an import names it."""
    return {str(path.relative_to(root.parent)): path.read_text() for path in root.rglob("*.py")}
