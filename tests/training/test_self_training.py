"""Rounds of self-training: who may teach, what is written, when it stops."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'torch'")

from typer.testing import CliRunner  # noqa: E402

from ctatlas.errors import AtlasError, ModelError  # noqa: E402
from ctatlas.models import load  # noqa: E402
from ctatlas.models.registry import folder_of  # noqa: E402
from ctatlas.training import self_training, teachers  # noqa: E402
from ctatlas.training.classes import IGNORED, set_codes  # noqa: E402
from ctatlas.training.export import export, load_averaged  # noqa: E402
from ctatlas.training.loop import TrainConfig, new_network, train  # noqa: E402
from ctatlas.training.members import member  # noqa: E402
from ctatlas.training.pool import Member, load_pool, remaining, write_member  # noqa: E402
from ctatlas.training.pseudo_labels import PseudoLabels  # noqa: E402
from ctatlas.training.self_training import label_torsos, report_table, self_train  # noqa: E402
from ctatlas.training.teachers import Teacher, begin_from, begun, check_beginning, teacher_of  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.onnx warns of itself
CONFIG = TrainConfig(steps=2, small_patch=16, large_patch=16, widths=(16, 16, 16), without=("ts-example",))


@pytest.fixture
def pool(tmp_path):
    """A pool of a torso, the labelled scan and a phantom, all as small as can be."""
    folder = tmp_path / "pool"
    folder.mkdir()
    labels = np.full((12, 12, 12), set_codes()["soft_tissue", "above_pelvis"], np.uint8)
    ct = np.full(labels.shape, 40, np.int16)
    write_member(folder, Member("torso", "crlm-1004", labels, ct, sources=("crlm-1004",)), labels_are="codes")
    tissues = np.full(labels.shape, 4, np.uint8)
    write_member(folder, Member("labelled", "ts-example-00", tissues, ct, sources=("ts-example",)))
    write_member(folder, Member("phantom", "0000", tissues, None))
    return folder


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    weights = new_network(CONFIG).state_dict()
    torch.save({"network": weights, "averaged": weights, "step": 2}, folder / "checkpoint.pt")
    (folder / "config.json").write_text(json.dumps(asdict(CONFIG)))
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A network written once for all tests that only need some."""
    path = tmp_path_factory.mktemp("exported") / "network.onnx"
    export(new_network(CONFIG).eval(), path)
    return path


@pytest.fixture
def liver_everywhere(monkeypatch, exported):
    """All torsos are found to be liver, without asking a network."""

    def pseudo(_votes, partial, _card):
        return PseudoLabels(np.ones_like(partial), {"liver": {"taken": 46.7}}, ("liver: large",))

    monkeypatch.setattr(teachers, "export", lambda _, target: shutil.copy(exported, target))
    monkeypatch.setattr(self_training, "vote", lambda *_: None)
    monkeypatch.setattr(self_training, "pseudo_labels", pseudo)


def test_a_run_becomes_a_model_that_loads(run, tmp_path):
    teacher = teacher_of(str(run), tmp_path / "made")
    found = teacher.model().logits(np.zeros((1, 2, 16, 16, 16), np.float32))
    with torch.no_grad():
        network = new_network(CONFIG).eval()
        network.load_state_dict(torch.load(run / "checkpoint.pt", weights_only=True)["averaged"])
        expected = network(torch.zeros(1, 2, 16, 16, 16)).numpy()
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_a_run_of_other_classes_is_refused_in_one_line(run, tmp_path):
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    last = [key for key, value in state["averaged"].items() if len(value) == 27][-1]
    state["averaged"][last] = state["averaged"][last][:21]
    torch.save(state, run / "checkpoint.pt")
    with pytest.raises(ModelError, match="train anew") as told:
        teacher_of(str(run), tmp_path / "made")
    assert "\n" not in str(told.value)


def test_training_goes_on_from_the_bundled_model(tmp_path):
    config = begin_from(Teacher("ctatlas/base"), tmp_path / "round")
    last = member("base")[-1]
    assert (config.steps, config.seed, config.without) == (last.steps, 1, ())
    assert (config.grid_mm, config.large_patch) == (last.grid_mm, last.large_patch)
    assert config.begun_from.startswith("ctatlas/base ")
    assert load("ctatlas/base").card.weights.sha256 in config.begun_from
    network = load_averaged(tmp_path / "round" / "checkpoint.pt", config.widths)
    windows = np.random.default_rng(0).normal(size=(1, 2, 32, 32, 32)).astype(np.float32)
    with torch.no_grad():
        found = network(torch.from_numpy(windows)).numpy()
    np.testing.assert_allclose(found, load("ctatlas/base").logits(windows), atol=1e-3)


@pytest.mark.parametrize(
    ("was", "now", "says"),
    [
        ("widths = [16, 32, 64, 128, 160]\n", "", "does not tell widths of its training; name a run"),
        ("seed = 1\n", "seed = 'many'\n", r"\[training\] seed: .*; name a run"),
        (None, None, "holds another network than this trainer's"),
    ],
)
def test_a_model_that_this_trainer_did_not_make_teaches_but_is_not_trained(tmp_path, was, now, says):
    folder = tmp_path / "theirs"
    shutil.copytree(folder_of("ctatlas/base"), folder)
    if was is None:
        other = new_network(CONFIG)
        other.head = torch.nn.Conv3d(16, 5, 1)
        torch.onnx.export(other, (torch.zeros(1, 2, 16, 16, 16),), folder / "network.onnx", dynamo=False)
    else:
        text = (folder / "card.toml").read_text()
        assert was in text
        (folder / "card.toml").write_text(text.replace(was, now))
    with pytest.raises(ModelError, match=says) as told:
        begin_from(Teacher(str(folder)), tmp_path / "round")
    assert "\n" not in str(told.value)
    assert not (tmp_path / "round").exists()


def test_a_new_run_begins_with_the_averaged_weights_once(run, tmp_path):
    teacher = teacher_of(str(run), tmp_path / "made")
    config = begin_from(teacher, tmp_path / "round")
    assert replace(config, begun_from="") == CONFIG
    assert config.begun_from.startswith("run (2 steps, seed 1, weights ")
    stored = torch.load(tmp_path / "round" / "checkpoint.pt", weights_only=True)
    assert stored["step"] == 0
    (tmp_path / "round" / "checkpoint.pt").write_bytes(b"went on")
    begin_from(teacher, tmp_path / "round")
    assert (tmp_path / "round" / "checkpoint.pt").read_bytes() == b"went on"


def test_a_run_tells_what_it_began_from_when_it_goes_on(tmp_path):
    config, run = TrainConfig(seed=5, steps=10), tmp_path / "run"
    assert begun(config, run) == config
    first = begun(config, run, "ctatlas/base")
    assert first.begun_from.startswith("ctatlas/base ")
    (run / "config.json").write_text(json.dumps(asdict(first)))
    assert begun(config, run) == begun(config, run, "ctatlas/base") == first


@pytest.mark.parametrize(
    ("began", "other", "says"),
    [
        ("", "ctatlas/base", "began from random weights, not from ctatlas/base "),
        ("ctatlas/base", "ctatlas/base-b", "began from ctatlas/base .* not from ctatlas/base-b "),
    ],
)
def test_a_run_that_began_otherwise_does_not_go_on_in_silence(tmp_path, began, other, says):
    run = tmp_path / "run"
    check_beginning(run, other)  # nothing has begun
    config = begun(TrainConfig(), run, began)
    run.mkdir(exist_ok=True)
    (run / "config.json").write_text(json.dumps(asdict(config)))
    if began:
        check_beginning(run, began)
    with pytest.raises(ModelError, match=says):
        check_beginning(run, other)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (TrainConfig(widths=(16, 32)), r"widths are \[16, 32, 64, 128, 160\], those of the run \[16, 32\]"),
        (TrainConfig(without=("ts-example",)), "was trained with ts-example, which the run must not see"),
    ],
)
def test_a_run_does_not_begin_from_what_is_not_like_it(tmp_path, config, says):
    with pytest.raises(ModelError, match=says):
        begun(config, tmp_path / "run", "ctatlas/base")
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("liver_everywhere")
def test_labels_come_into_the_pool_with_their_record(pool, run, tmp_path):
    teacher = teacher_of(str(run), tmp_path / "made")
    assert label_torsos(pool, [teacher], 1) == {"liver": 46.7}
    label_torsos(pool, [teacher], 2)
    (member,) = (m for m in load_pool(pool) if m.kind == "pseudo")
    assert member.name == "crlm-1004-round-2"
    assert (member.codes[member.labels] == 1).all()
    facts = json.loads((pool / "pseudo-crlm-1004-round-2.json").read_text())
    assert facts["models"][0]["weights"] == teacher.model().card.weights.sha256
    assert facts["findings"] == ["liver: large"]


@pytest.mark.usefixtures("liver_everywhere")
def test_whoever_leaves_a_source_out_leaves_out_what_it_taught(pool, run, tmp_path):
    saw_it = Teacher("ctatlas/base")
    label_torsos(pool, [teacher_of(str(run), tmp_path / "made")], 1)
    assert any(m.kind == "pseudo" for m in remaining(load_pool(pool), ("ts-example",)))
    label_torsos(pool, [teacher_of(str(run), tmp_path / "made"), saw_it], 2)
    assert not any(m.kind == "pseudo" for m in remaining(load_pool(pool), ("ts-example",)))


def test_a_pool_without_torsos_is_told(tmp_path):
    (tmp_path / "pool").mkdir()
    with pytest.raises(AtlasError, match="no torsos"):
        label_torsos(tmp_path / "pool", [], 1)


@pytest.fixture
def counted(monkeypatch):
    """Training that only notes what it was asked for."""
    asked = []

    def no_train(_pool: Path, run: Path, config: TrainConfig, *, workers: int) -> None:
        assert workers == 1
        asked.append(config)
        (run / "config.json").write_text(json.dumps(asdict(config)))

    monkeypatch.setattr(self_training, "train", no_train)
    return asked


@pytest.mark.usefixtures("pool", "liver_everywhere")
def test_rounds_go_on_while_they_do_no_harm(run, tmp_path, counted):
    teacher, dice = teacher_of(str(run), tmp_path / "made"), iter([0.80, 0.81, 0.807, 0.9])
    report = self_train(tmp_path, [teacher], lambda _: {"phantom": next(dice)}, rounds=3, steps=5, workers=1)
    assert [each.figures["phantom"] for each in report] == [0.80, 0.81, 0.807, 0.9]
    assert len({config.seed for config in counted}) == 3
    assert all(config.steps == 5 and config.without == ("ts-example",) for config in counted)
    assert [config.taught_by for config in counted] == [
        (f"{name} (weights {teacher.sha256()})",) for name in ("run", "round-1", "round-2")
    ]
    assert [each.model for each in report[1:]] == [str(tmp_path / f"self-training/round-{n}/model") for n in (1, 2, 3)]


@pytest.mark.usefixtures("pool", "liver_everywhere", "counted")
def test_a_round_that_does_harm_is_the_last(run, tmp_path):
    teacher, dice = teacher_of(str(run), tmp_path / "made"), iter([0.80, 0.79])
    report = self_train(tmp_path, [teacher], lambda _: {"phantom": next(dice)}, rounds=3, steps=5, workers=1)
    assert len(report) == 2
    table = report_table(report).splitlines()
    assert table[2:] == ["| 0 | 0.800 | 0 |", "| 1 | 0.790 | 47 |"]


def test_a_pool_without_torsos_is_refused_before_anything_is_measured(run, tmp_path):
    teacher = teacher_of(str(run), tmp_path / "made")
    with pytest.raises(AtlasError, match="holds no torsos to label"):
        self_train(tmp_path, [teacher], lambda _: pytest.fail("measured"), rounds=1, steps=5, workers=1)


def test_the_command_says_in_one_line_what_is_wrong(tmp_path):
    import typer

    app = typer.Typer()
    app.command()(self_training.main)
    said = CliRunner().invoke(app, [str(tmp_path), str(tmp_path), "--teacher", str(tmp_path / "nothing")])
    assert said.exit_code == 2
    assert "nothing" in said.stderr
    assert len(said.stderr.strip().splitlines()) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("pool")
def test_a_round_with_a_real_network_ends_with_a_model(run, tmp_path, monkeypatch):
    def nothing_sure(_votes, partial, _card):
        return PseudoLabels(partial, {"liver": {"taken": 0.0}}, ())

    monkeypatch.setattr(self_training, "vote", lambda *_: None)
    monkeypatch.setattr(self_training, "pseudo_labels", nothing_sure)
    assert train is self_training.train
    teacher = teacher_of(str(run), tmp_path / "made")
    report = self_train(tmp_path, [teacher], lambda _: {"phantom": 1.0}, rounds=1, steps=2, workers=1)
    assert torch.load(tmp_path / "self-training/round-1/checkpoint.pt", weights_only=True)["step"] == 2
    assert Teacher(report[-1].model).model().card.name == "ctatlas/base"
    assert IGNORED == 255
