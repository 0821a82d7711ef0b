"""Every module with code of its own has a test: one that mirrors it, imports it, or is named here."""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src"

HELD_BY = {
    "tpo.cli.ask": "cli/test_main.py",
    "tpo.cli.error_output": "cli/test_main.py",
    "tpo.cli.merge": "scale/test_merge.py",
    "tpo.cli.reward_session": "cli/test_bench_reward.py",
    "tpo.cli.serve_session": "cli/test_serve.py",
    "tpo.cli.sweep": "experiments/sweep/test_command.py",
    "tpo.cli.training_set": "cli/test_export.py",
    "tpo.cli.tune": "experiments/tune/test_command.py",
    "tpo.cli.winrate": "experiments/test_winrate.py",
    "tpo.config.keys": "test_config.py",
    "tpo.config.models": "test_config.py",
    "tpo.config.rules": "test_config.py",
    "tpo.config.sources": "test_config.py",
    "tpo.contrib.reference.progress": "contrib/reference/test_command.py",
    "tpo.contrib.textgrad.calls": "contrib/textgrad/test_engine.py",
    "tpo.data.arrow": "export/test_results.py",
    "tpo.data.conversation": "data/test_to_query.py",
    "tpo.data.standard_input": "data/test_load.py",
    "tpo.doctor.data": "doctor/test_run_checks.py",
    "tpo.doctor.directory": "doctor/test_run_checks.py",
    "tpo.doctor.golden": "doctor/test_run_checks.py",
    "tpo.doctor.iteration": "doctor/test_servers.py",
    "tpo.doctor.loading": "doctor/test_run_checks.py",
    "tpo.doctor.sampling": "doctor/test_servers.py",
    "tpo.experiments.bench.graders.reward": "experiments/bench/test_results.py",
    "tpo.experiments.bench.method_results": "experiments/bench/test_results.py",
    "tpo.experiments.effects": "experiments/sweep/test_results.py",
    "tpo.experiments.sweep.comparison_tables": "experiments/sweep/test_tables.py",
    "tpo.export.tables": "export/test_results.py",
    "tpo.export.training": "export/test_training_sets.py",
    "tpo.inprocess.formats": "inprocess/test_loading.py",
    "tpo.methods.arguments": "methods/test_library_use.py",
    "tpo.methods.driver": "methods/test_stopping.py",
    "tpo.plurals": "cli/test_session.py",
    "tpo.policies.checked": "methods/test_calls.py",
    "tpo.policies.kinds.hugging_face": "policies/test_hugging_face_kind.py",
    "tpo.policies.kinds.server": "test_registry.py",
    "tpo.policies.local.batch": "policies/local/test_engine.py",
    "tpo.policies.local.build": "policies/local/test_policy.py",
    "tpo.policies.local.group": "policies/local/test_engine.py",
    "tpo.report.data_blocks": "report/test_page.py",
    "tpo.report.query_table": "report/test_page.py",
    "tpo.rewards.decisions.model": "rewards/rubric/test_reward.py",
    "tpo.rewards.judge.reward": "rewards/judge/test_judge.py",
    "tpo.rewards.kinds.hugging_face": "test_registry.py",
    "tpo.rewards.kinds.judge": "test_registry.py",
    "tpo.rewards.kinds.rubric": "rewards/rubric/test_kind.py",
    "tpo.rewards.kinds.verify": "rewards/verify/test_reward.py",
    "tpo.rewards.kinds.sglang": "test_config_rewards.py",
    "tpo.rewards.kinds.vllm": "test_registry.py",
    "tpo.rewards.rubric.material": "rewards/rubric/test_criteria.py",
    "tpo.rewards.values": "rewards/test_function.py",
    "tpo.rewards.verify.python_harness": "rewards/verify/test_python_tests.py",
    "tpo.rewards.vllm.replica": "rewards/vllm/test_reward.py",
    "tpo.runs.results": "scale/test_merge.py",
    "tpo.scale.merge_checks": "scale/test_merge.py",
    "tpo.scale.run_command": "scale/test_worker.py",
    "tpo.serve.request_policy": "serve/test_chat.py",
    "tpo.store.codec": "store/test_trajectory_line.py",
    "tpo.store.files": "store/test_directory.py",
    "tpo.store.index": "store/test_directory.py",
    "tpo.store.line_types": "store/test_trajectory_line.py",
    "tpo.store.resume": "store/test_directory.py",
    "tpo.store.shards": "scale/test_merge.py",
    "tpo.types.calls": "test_types.py",
    "tpo.types.candidates": "test_types.py",
    "tpo.types.messages": "test_types.py",
    "tpo.types.trajectory": "test_types.py",
    "tpo.view.guard": "view/test_server.py",
    "tpo.view.serve": "cli/test_view.py",
}
"""Modules that only their callers' tests reach: the test that fails when one is broken."""


def _modules() -> dict[str, Path]:
    """Return the modules that define a function or a class, by name."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    found = {}
    for path in (SOURCE / "tpo").rglob("*.py"):
        if path.name != "__init__.py" and any(isinstance(node, kinds) for node in _tree(path).body):
            found[".".join(path.relative_to(SOURCE).with_suffix("").parts)] = path
    return found


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _imported() -> set[str]:
    """Return the modules, and names in modules, that any test imports."""
    names: set[str] = set()
    for path in TESTS.rglob("*.py"):
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
            elif isinstance(node, ast.Import):
                names |= {each.name for each in node.names}
    return names


def _mirror(path: Path) -> Path:
    folder = TESTS / path.relative_to(SOURCE / "tpo").parent
    return folder / f"test_{path.stem}.py"


def test_every_module_has_a_test() -> None:
    imported = _imported()
    without = {
        name for name, path in _modules().items() if name not in imported and not _mirror(path).exists()
    }
    assert sorted(without - HELD_BY.keys()) == [], "write a test that imports the module"


def test_the_named_modules_and_tests_exist() -> None:
    modules = _modules()
    gone = [name for name, test in HELD_BY.items() if name not in modules or not (TESTS / test).exists()]
    assert gone == []
