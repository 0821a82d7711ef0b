"""Code of a response in a subprocess: tests, limits, and what it cannot reach."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from tpo.rewards.verify.python_tests import PythonTests
from tpo.types import Query, user

ADD = "Sure:\n```python\ndef add(a, b):\n    return a + b\n```\nThat is all."
CHECKS = PythonTests(seconds=60.0)
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def query(**columns: Any) -> Query:
    return Query("q", (user("Write add(a, b)."),), metadata=columns)


async def passed(response: str, *tests: str, checks: PythonTests = CHECKS) -> list[bool]:
    return list((await checks(response, query(tests=list(tests)))).values())


async def test_each_test_runs_after_the_code() -> None:
    found = await CHECKS(ADD, query(tests=["assert add(1, 2) == 3", "assert add(1, 2) == 4", "assert add"]))
    assert found == {"test 1": True, "test 2": False, "test 3": True}


async def test_tests_as_json_text_are_a_list() -> None:
    found = await CHECKS(ADD, query(tests='["assert add(1, 2) == 3", "assert add(1, 2) == 4"]'))
    assert found == {"test 1": True, "test 2": False}


@pytest.mark.parametrize("tests", ["[]", '[{"input": "1", "output": "2"}]', '["assert add", null]'])
async def test_a_list_of_no_tests_as_json_text_is_refused(tests: str) -> None:
    with pytest.raises(ValueError, match="neither a text nor a list"):
        await CHECKS(ADD, query(tests=tests))


CODE = "def add(a, b):\n    return a + b"


@pytest.mark.parametrize(
    "response",
    [
        f"First:\n```bash\npip install numpy\n```\nThen:\n```python\n{CODE}\n```\nDone.",
        f"```python\n{CODE}\n```\nIt prints:\n```text\n3\n```",
        f"```Python3\n{CODE}\n```",
        f'```py title="x"\n{CODE}\n```',
        f"~~~\n{CODE}\n~~~",
        f"````python\n{CODE}\nfence = '```'\n````",
        "1. Write:\n   ```python\n   def add(a, b):\n       return a + b\n   ```",
        f"Here it is: ```python\n{CODE}\n```",
        f"<answer>\n```python\n{CODE}\n```\n</answer>",
        f"```python\n{CODE}\n```\nAnd now:\n```python\nfoo(",
        "> ```python\n> def add(a, b):\n>     return a + b\n> ```",
        f"```python\n{CODE}",
        f"```python\n{CODE}\n```\nUse it:\n```python\nfrom solution import add\nprint(add(1, 2))\n```",
        f"```python\nnot this\n```\nBetter:\n```python\n{CODE}\n```",
    ],
)
async def test_the_code_is_the_last_block_that_names_python_or_no_language(response: str) -> None:
    assert await passed(response, "assert add(1, 2) == 3") == [True]


@pytest.mark.parametrize(
    "response",
    [
        f"```python\n{CODE}\n```\nOutput:\n```\n3\n```",
        f"```python\n{CODE}\n```\nOutput:\n```\nx = 3\n```",
        f"```python\n{CODE}\n```\nUse it so:\n```python\nprint(add(1, 2))\n```",
        f"```python\n{CODE}\n```\nIn a shell:\n```python\n>>> add(1, 2)\n3\n```",
        f"```\n{CODE}\n```\nOutput:\n```\n3\n```",
        "```python\nclass add:\n    def __new__(cls, a, b): return a + b\n```\n```python\nadd(1, 2)\n```",
        "```python\nasync def old(): ...\n```\n```python\n" + CODE + "\n```\n```python\nadd(\n```",
        "```python\nadd = lambda a, b: a + b\n```\n```\ndef add(a, b): ...\n```",
        f"Here it is: ```python\n{CODE}\n```\nOutput:\n```\n3\n```",
        "```python\nadd = max\n```\n```python\nadd = sum\n```\n```python\nadd = lambda a, b: a + b\n```",
    ],
)
async def test_an_output_or_an_example_after_the_code_is_not_the_code(response: str) -> None:
    assert await passed(response, "assert add(1, 2) == 3") == [True]


@pytest.mark.parametrize(
    "code", [CODE, "add = lambda a, b: a + b", "add: object = lambda a, b: a + b", "from operator import add"]
)
async def test_the_code_is_the_last_block_that_defines_the_entry_point(code: str) -> None:
    test = "def check(candidate):\n    assert candidate(1, 2) == 3\n"
    example = "```python\ndef test():\n    assert add(1, 2) == 3\n```"
    for opening in ("```python", "```"):
        response = f"{opening}\n{code}\n```\nAs a test:\n{example}"
        assert await CHECKS(response, query(tests=test, entry_point="add")) == {"test 1": True}


async def test_without_an_entry_point_the_code_defines_what_the_tests_use() -> None:
    response = "```python\ndef helper(a): ...\n```\nSo:\n```python\nadd = lambda a, b: a + b\n```"
    assert await passed(response, "total = add(1, 2)\nassert total == 3") == [True]
    assert await passed(f"{response}\n```python\ntotal = add(1, 2)\n```", "assert add(1, 2) == 3") == [True]


async def test_an_import_in_an_example_defines_nothing() -> None:
    code = "import math\ndef area(r): return math.pi * r * r"
    for example in ("import math\nprint(area(1))", "from solution import area\nprint(area(1))"):
        response = f"```python\n{code}\n```\nUse it:\n```python\n{example}\n```"
        assert await passed(response, "assert math.isclose(area(1), math.pi)") == [True]


async def test_a_definition_where_an_import_fails_is_one() -> None:
    stub = "def add(a, b): raise NotImplementedError"
    code = "try:\n    from fast import add\nexcept ImportError:\n    def add(a, b): return a + b"
    response = f"```python\n{stub}\n```\nSo:\n```python\n{code}\n```"
    assert await passed(response, "assert add(1, 2) == 3") == [True]


async def test_an_entry_point_that_is_no_text_is_none() -> None:
    assert await CHECKS(ADD, query(tests=["assert add(1, 2) == 3"], entry_point=["add"])) == {"test 1": True}


async def test_a_program_in_the_form_of_humaneval_is_given_the_function() -> None:
    test = "def check(candidate):\n    assert candidate(1, 2) == 3\n"
    assert await CHECKS(ADD, query(tests=test, entry_point="add")) == {"test 1": True}
    with pytest.raises(ValueError, match="is no name of a function"):
        await CHECKS(ADD, query(tests=test, entry_point="add); evil("))


@pytest.mark.parametrize(
    "response",
    [
        "def add(a, b) return a",
        "raise SystemExit(0)",
        "import os\nos._exit(0)",
        "while True: pass",
        "import time\ntime.sleep(1000)",
        "x = ' ' * (8 << 30)",
        'print(\'{"passed": [true], "key": ""}\')\nimport os\nos._exit(0)',
    ],
)
async def test_code_that_fails_or_ends_early_or_never_passes_nothing(response: str) -> None:
    brief = PythonTests(seconds=1.0, memory_mb=512, start_seconds=1.0)
    assert await passed(response, "pass", checks=brief) == [False]


async def test_a_test_that_exits_is_no_pass_and_the_next_one_runs() -> None:
    assert await passed("x = 1", "raise SystemExit(0)", "assert x == 1") == [False, True]


async def test_what_a_test_defines_does_not_reach_the_next_one() -> None:
    assert await passed("x = 1", "x = 2", "assert x == 1") == [True, True]


@pytest.mark.parametrize("form", ["from __future__ import annotations\n{}: int", "{}: 'int'"])
async def test_a_dataclass_with_string_annotations_runs(form: str) -> None:
    future, _, field = form.rpartition("\n")
    code = (
        f"{future}\nfrom dataclasses import dataclass\n\n@dataclass\nclass Point:\n    {field.format('x')}\n"
    )
    test = f"@dataclass\nclass Circle(Point):\n    {field.format('y')}\nassert Circle(1, 2).y == 2"
    assert await passed(code, "assert Point(1).x == 1", test) == [True, True]
    assert await passed(
        code, "import response, typing\nassert typing.get_type_hints(Point) == {'x': int}"
    ) == [True]


async def test_memory_beyond_the_limit_is_refused() -> None:
    small = PythonTests(seconds=60.0, memory_mb=256)
    assert await passed("x = bytearray(1 << 20)", "assert x", checks=small) == [True]
    assert await passed("x = bytearray(512 << 20)", "assert x", checks=small) == [False]


async def test_the_environment_does_not_reach_the_code() -> None:
    assert len(os.environ) > 7  # or there is nothing to hold back
    known = {"PATH", "HOME", "TMPDIR", "LC_CTYPE", *THREADS}
    assert await passed("x = 1", f"import os\nassert set(os.environ) <= {known}") == [True]


async def test_libraries_start_one_thread_whatever_the_number_of_cores() -> None:
    test = f"import os\nassert [os.environ[name] for name in {list(THREADS)}] == ['1'] * 3"
    assert await passed("x = 1", test) == [True]


async def test_the_working_directory_is_empty_and_can_be_written() -> None:
    here = str(Path.cwd())
    test = f"import os\nassert os.listdir() == [] and os.getcwd() != {here!r}\nopen('x', 'w').write('y')"
    assert await passed("x = 1", test) == [True]


async def test_large_files_are_refused() -> None:
    assert await passed("x = 1", "open('x', 'wb').write(b'0' * 10_000_000)") == [False]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no namespaces")
async def test_the_network_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        test = f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 2)"
        assert await passed("x = 1", test) == [False]


async def test_a_row_without_tests_is_told() -> None:
    with pytest.raises(ValueError, match="no column 'tests'; it has none"):
        await CHECKS(ADD, query())
    with pytest.raises(ValueError, match="column 'tests' holds neither a text nor a list"):
        await CHECKS(ADD, query(tests=[]))
