import inspect
import math
import subprocess
import sys
from dataclasses import replace

import pytest

from recsys.artifacts import write_json
from recsys.capacity import CapacityError, Measured, Want, plan
from recsys.cli import main
from recsys.cli.capacity import capacity

WANT = Want(rps=5000, p99_ms=50)


@pytest.fixture
def measured(curve):
    return Measured.load(curve)


def rows(measured, **different):
    return {name: numbers for name, *numbers in plan(measured, replace(WANT, **different)).rows}


def test_a_replica_gets_what_keeps_the_p99(measured):
    load, low, high = rows(measured, p99_ms=20, utilization=0.95)["requests/s of the busiest replica"]
    assert measured.fitted.queue.waiting(0.99, load) == pytest.approx(0.02, rel=1e-3)
    assert low <= load <= high


def test_a_replica_gets_no_more_than_its_core_has_time_for(measured):
    load, *_ = rows(measured, p99_ms=10_000, utilization=0.5)["requests/s of the busiest replica"]
    assert load * 1.4 / 1000 == pytest.approx(0.5)


def test_one_machine_may_be_away(measured):
    told = rows(measured)
    replicas, machines = (
        told[name][0]
        for name in ("replicas, one a core", "machines that answer, one more a group than it takes")
    )
    assert (machines - 1) * WANT.cores >= replicas > (machines - 2) * WANT.cores


@pytest.mark.parametrize("more", [{"rps": 9000}, {"p99_ms": 20}, {"users": 5e7}])
def test_who_wants_more_takes_no_fewer_machines(measured, more):
    assert rows(measured, **more)["machines"][0] >= rows(measured)["machines"][0]


def test_redis_holds_events_and_two_lists_of_each_user(measured):
    assert rows(measured)["Redis, GB"] == pytest.approx([4.5, 4.5 * 0.98, 4.5 * 1.02])


def test_tables_hold_users_items_and_what_they_did(measured):
    assert rows(measured)["tables of a release, GB"][0] == pytest.approx(2 + 0.3 + 150 * 40 / 1000 + 0.001)


def test_the_cost_is_that_of_machines_in_the_time_of_a_million_requests(measured):
    told = rows(measured)
    assert told["cost per million requests"][0] == pytest.approx(told["machines"][0] * 0.4 * 200 / 3600)


def test_users_that_no_machine_holds_fall_into_groups(measured):
    """A machine of 256 GB has room for 179: 3 of items and workers, 8.1 a million users, 100 in all."""
    more = {"users": 1e8, "memory_gb": 256.0, "cores": 1}
    told = rows(measured, **more)
    assert told["groups of machines, each for a part of the users"][0] == math.ceil(813.2 / (179.2 - 0.61))
    assert told["machines that answer, one more a group than it takes"][0] >= 2 * 5
    assert rows(measured)["groups of machines, each for a part of the users"] == [1, 1, 1]
    assert not plan(measured, WANT).notes
    assert "on paper only" in plan(measured, replace(WANT, **more)).notes[0]


def test_items_that_no_machine_holds_are_refused(measured):
    with pytest.raises(
        CapacityError, match=r"items and 1 workers take 31.6 GB on each machine, which has room for 22.4 GB"
    ):
        plan(measured, replace(WANT, items=1e7, cores=1))


def test_more_items_than_were_measured_are_told(measured):
    assert "are of 100,000 items" in plan(measured, replace(WANT, items=2e5)).notes[0]


def test_a_p99_within_the_models_error_is_refused(report, tmp_path):
    """Alone a request takes 10.9 ms; where the model is 10 % off, 11.5 ms are no promise."""
    for point in report["points"]:
        if point["held_back"] and point["kind"] == "open":
            point["p99_ms"] /= 1.1
    write_json(tmp_path / "curve.json", report)
    measured = Measured.load(tmp_path / "curve.json")
    least = measured.fitted.queue.waiting(0.99, 1e-3) * 1000
    with pytest.raises(CapacityError, match="too near"):
        plan(measured, replace(WANT, p99_ms=least * 1.05))


def run(capsys, *arguments):
    capsys.readouterr()
    return main(["capacity", *arguments]), *capsys.readouterr()


def test_the_command_tells_machines_with_their_error(curve, capsys):
    code, out, _ = run(capsys, "--rps", "5000", "--p99-ms", "50", "--curve", str(curve))
    assert code == 0
    head, *lines = out.splitlines()
    assert head.split() == ["estimate", "from", "to"]
    assert any(line.startswith("machines that answer") for line in lines)
    assert "points held back were missed" in lines[-1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "is no report of benchmarks/capacity"),
        ("{}", "is no report of benchmarks/capacity"),
        ('{"points": [], "redis": {}, "tables": {}, "worker": {}, "of": {}}', "too few points"),
    ],
)
def test_a_damaged_curve_is_told_in_one_line(tmp_path, capsys, content, said):
    (tmp_path / "curve.json").write_text(content)
    code, _, err = run(capsys, "--rps", "1", "--p99-ms", "50", "--curve", str(tmp_path / "curve.json"))
    assert (code, err.count("\n")) == (2, 1)
    assert said in err


@pytest.mark.parametrize("lost", ["redis", "tables", "worker", "of"])
def test_a_curve_without_a_part_is_told(report, tmp_path, capsys, lost):
    write_json(tmp_path / "curve.json", report | {lost: {}})
    code, _, err = run(capsys, "--rps", "1", "--p99-ms", "50", "--curve", str(tmp_path / "curve.json"))
    assert code == 2
    assert "is no report of benchmarks/capacity" in err


def test_a_missing_curve_is_told(tmp_path, capsys):
    code, _, err = run(capsys, "--rps", "1", "--p99-ms", "50", "--curve", str(tmp_path / "none.json"))
    assert code == 2
    assert "none.json" in err


def test_a_p99_that_nothing_keeps_is_told(curve, capsys):
    code, _, err = run(capsys, "--rps", "1", "--p99-ms", "1", "--curve", str(curve))
    assert code == 2
    assert "p99 of 1 ms cannot be kept: a request that is alone takes" in err


def test_it_needs_neither_torch_nor_pandas_nor_matplotlib(curve):
    arguments = ["capacity", "--rps", "5", "--p99-ms", "50", "--curve", str(curve)]
    heavy = {"torch", "pandas", "matplotlib", "pyarrow"}
    asked = f"import sys; from recsys.cli import main; main({arguments}); print({heavy} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "set()"


def test_the_command_wants_by_default_what_is_documented():
    told = {name: each.default for name, each in inspect.signature(capacity).parameters.items()}
    del told["rps"], told["p99_ms"], told["curve"]
    price, memory = told.pop("machine_price"), told.pop("memory")
    assert replace(WANT, **told, price=price, memory_gb=memory) == WANT
