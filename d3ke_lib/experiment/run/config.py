"""Everything a run depends on, frozen and checked. The defaults are the paper's; profiles are small diffs.

Sources: P paper (Sensors 2023, 23(1), 341), C the released code, where the paper's text is silent.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from d3ke_lib import settings
from d3ke_lib.data.augment import AugmentConfig, ViewConfig
from d3ke_lib.data.bmlmovi.config import BmlmoviConfig
from d3ke_lib.data.synthetic.generate import DataConfig
from d3ke_lib.experiment.run import cells, overrides
from d3ke_lib.experiment.run.codec import check_known, check_positive, check_types
from d3ke_lib.experiment.run.schedule import Phase, Resolution, check_phases
from d3ke_lib.files import D3keError
from d3ke_lib.nets import backbone, temporal
from d3ke_lib.nets.losses import LossWeights, Norm
from d3ke_lib.settings import Settings

_HOW = {"how": True}  # fields that do not change a run's result: left out of fingerprints


@dataclass(frozen=True)
class FrameConfig:
    """Training of the frame network."""

    backbone: str = "resnext50_32x4d"  # P
    px: int = 256  # side of the crop, px (P)
    batch: int = 64  # images (P)
    epochs: int = 30  # P: 28 + 2
    images: int | None = None  # budget in images seen, instead of epochs; whole batches of it are used
    every: int = 2  # training uses every n-th frame (C) …
    moved: float = 0.02  # … of those in which some marker moved so far, m (C)
    subjects: int | None = None  # train on the first so many training subjects; None: all
    optimizer: Literal["adamw", "adam"] = "adamw"  # C; P: "Adam, weight decay 0.001"
    weight_decay: float = 1e-3  # P, C
    phases: tuple[Phase, ...] = (Phase(28 / 30, 5e-4, 3.33e-5), Phase(2 / 30, 3.33e-6, 1e-6))  # P
    warmup: int = 0  # first steps, in which the rate climbs linearly from 0
    loss: LossWeights = field(default_factory=LossWeights)  # λ1 … λ4 (P); C has λ4 = 0.01
    mask_angles: bool = True  # leave out angles whose labels are marked wrong (C)
    center_striding: bool = True  # C
    squash: Literal["before_mean", "after_mean"] = "before_mean"  # C
    camera_input: bool = False  # the head reads the crop camera's focal length and attitude, too (not D3KE)
    head: Literal["pose", "points"] = "pose"  # points: a multi-step pipeline finds the pose (body.ik)
    weights: str | None = "imagenet"  # what the backbone starts from (C); None: random numbers
    precision: Literal["fp32", "bf16"] = "fp32"  # C; bf16: autocast, weights stay in float32
    ema: float | None = None  # decay per step of the weights' moving average, which is then the result
    augment: AugmentConfig = field(default_factory=AugmentConfig)  # C
    resolutions: tuple[Resolution, ...] = ()  # empty: px throughout
    validations: int = 10  # evenly spaced, the last at the end
    validation_images: int = 2048  # evenly spaced over the validation subjects' frames
    device: str = field(default="auto", metadata=_HOW)  # auto: CUDA where there is one
    workers: int = field(default=2, metadata=_HOW)  # threads that decode ahead
    cache_gb: float = field(default=0.0, metadata=_HOW)  # decoded crops kept in memory, GB
    checkpoint_every: int = field(default=1000, metadata=_HOW)  # steps
    log_every: int = field(default=10, metadata=_HOW)  # steps that a line of the log averages

    def __post_init__(self) -> None:
        check_types(self)
        check_known("backbone", self.backbone, backbone.NAMES)
        check_phases(self.phases)
        counts = ("px", "batch", "epochs", "every", "validations", "checkpoint_every", "log_every")
        check_positive(self, *counts)
        until = [resolution.until for resolution in self.resolutions]
        if until and (until != sorted(until) or until[-1] != 1.0):
            raise D3keError(f"FrameConfig.resolutions: `until` must grow to 1.0, found {until}")
        if self.camera_input and self.head != "pose":
            raise D3keError("FrameConfig.camera_input: expected the head pose, found points")


@dataclass(frozen=True)
class TemporalConfig:
    """Training of a temporal network on a frame network's stored predictions."""

    kind: str = "transformer"
    window: int = 243  # frames (C)
    causal: bool = False  # the target is the window's last frame; C: its middle
    head: Literal["pose", "points"] = "pose"  # what the frame network predicts, and this one refines
    batch: int = 128  # windows (C)
    epochs: int = 50  # C
    phases: tuple[Phase, ...] = (Phase(1.0, 1e-3, 5e-6),)  # C
    warmup: int = 0
    weight_decay: float = 0.0  # C: Adam
    amsgrad: bool | None = None  # None: for the TCN only (C)
    norm: Norm = "L2"  # of position differences (C's configuration; its checkpoint's name says L1)
    loss: LossWeights = field(default_factory=LossWeights)  # λ1 … λ4 (P)
    intermediate: float = 1.0  # weight of the frames other than the target (transformer, LSTM; C)
    norm_momentum: tuple[float, float] = (0.1, 0.001)  # the TCN's batch norm, first to last step (C)
    subjects: int | None = None  # train on so many training subjects; None: all
    validations: int = 10
    validation_windows: int = 2048
    device: str = field(default="auto", metadata=_HOW)
    checkpoint_every: int = field(default=1000, metadata=_HOW)  # steps
    log_every: int = field(default=10, metadata=_HOW)  # steps

    def __post_init__(self) -> None:
        check_types(self)
        check_known("temporal network", self.kind, tuple(temporal.KINDS))
        check_phases(self.phases)
        check_positive(self, "window", "batch", "epochs", "validations", "checkpoint_every", "log_every")


@dataclass(frozen=True)
class EvaluationConfig:
    """How methods are compared on the test subjects."""

    batch: int = 64  # images a forward pass, when predictions are stored
    timing_batches: int = 10  # forward passes behind a latency
    subjects: int | None = None  # evaluate on so many of the test subjects; None: all

    def __post_init__(self) -> None:
        check_types(self)
        check_positive(self, "batch", "timing_batches")
        if self.subjects is not None and self.subjects < 2:
            raise D3keError(f"EvaluationConfig.subjects: an interval needs 2 or more, found {self.subjects}")


@dataclass(frozen=True)
class Profile:
    """One experiment: data, both networks, and which of them are trained."""

    name: str
    data: DataConfig | BmlmoviConfig
    frame: FrameConfig = field(default_factory=FrameConfig)
    temporal: TemporalConfig = field(default_factory=TemporalConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    backbones: tuple[str, ...] = ("resnext50_32x4d", "resnext101_32x8d")  # the paper's, and the question's
    refiners: tuple[str, ...] = ("transformer",)
    seeds: tuple[int, ...] = (0,)
    plan: str | None = None  # of a study (cells.py): its cells are trained, not all combinations of the above

    def __post_init__(self) -> None:
        check_types(self)
        for name in map(cells.architecture_of, self.backbones):
            check_known("backbone", name, backbone.NAMES)
        for kind in self.refiners:
            check_known("temporal network", kind, tuple(temporal.KINDS))


# --- profiles: what differs from the paper, and why ---

SMOKE = Profile(
    name="smoke",  # does everything run? minutes on two cores; its numbers mean nothing
    data=DataConfig(
        train=4,  # enough for batches of two sizes and a subset
        validation=1,  # one is enough to take the path
        test=3,  # fewer would leave the bootstrap nothing to draw from
        actions=("walking", "jogging", "kicking"),  # the last is performed by test subjects alone
        test_cameras=("PG1", "H1"),  # several views of a subject
        seconds=1.0,  # 10 frames, longer than the window
        fps=10.0,  # as the demo
        px=46,  # 7 px of margin on each side of 32
        margin=46 / 32,  # exact, so that plain crops need no resampling
    ),
    frame=FrameConfig(
        px=32,  # the smallest the backbones accept
        batch=8,  # two cores
        images=48,  # six steps: a checkpoint, a validation and the end
        every=1,  # few frames as it is
        moved=0.0,  # the same
        phases=(Phase(1.0, 1e-3, 1e-4),),  # one phase: there is nothing to anneal
        weights=None,  # nothing to fetch
        precision="bf16",  # as the demo
        validations=2,
        validation_images=16,
        checkpoint_every=4,  # one is written and removed on the way
        log_every=1,  # a curve of six points
    ),
    temporal=TemporalConfig(
        window=9,  # shorter than the motions
        batch=16,  # two cores
        epochs=1,
        subjects=2,  # a subset, as the demo takes
        validations=2,
        validation_windows=32,
        checkpoint_every=4,
        log_every=1,
    ),
    evaluation=EvaluationConfig(batch=16, timing_batches=2),  # seconds instead of minutes
)

DEMO = Profile(
    name="demo",  # do the networks learn, and which better? an hour on two cores
    data=DataConfig(
        train=96,  # many subjects, each for a short time: what unseen subjects need is more subjects
        validation=4,
        test=24,  # intervals come from subjects
        seconds=2.0,  # a cycle or two of each action
        fps=10.0,  # 30 frames per second look alike
        px=90,  # 13 px of margin on each side of 64
        margin=90 / 64,  # exact, so that plain crops need no resampling
    ),
    frame=FrameConfig(
        px=64,  # a sixteenth of the paper's pixels: 50 images/s instead of 5 (shared baselines)
        batch=16,  # more steps from the same images
        images=40_000,  # as many as fit an hour with both backbones, the refiners and the rest
        resolutions=(Resolution(0.6, 48), Resolution(1.0, 64)),  # a third faster while it learns the coarse
        every=1,  # at 10 frames per second neighbours differ
        moved=0.0,  # the same
        phases=(  # a long high stretch, then the fall in which most is gained: it must fit the budget
            Phase(0.7, 1.4e-3, 3e-4),
            Phase(0.3, 3e-4, 1e-5),
        ),
        warmup=100,  # no pretrained weights to start from
        weights=None,  # nothing to fetch; both backbones start equal
        precision="bf16",  # up to twice as fast where the processor has it
        augment=AugmentConfig(  # no frame is seen twice: boxes a little off, as a real video's, and no more
            view=ViewConfig(shift=0.03, zoom=(0.95, 1.05), roll_deg=5.0), color=None, occluder=None
        ),
        validations=4,  # each costs what 150 training images cost
        validation_images=640,
        checkpoint_every=300,  # one every few minutes, also for the larger network
    ),
    temporal=TemporalConfig(
        window=9,  # 0.9 s at 10 frames per second, where 243 are 8.1 s at 30; the motions have 20 frames
        batch=32,  # more steps from fewer windows
        epochs=8,  # minutes
        warmup=100,  # post-norm transformers start badly at full rate
        subjects=8,  # whose predictions must be computed first
        validations=4,
    ),
)

STUDY = replace(
    DEMO,
    name="study",  # which backbone, and why? the demo's data and recipe, all cells of the plan
    frame=replace(DEMO.frame, images=24_000),  # three runs of each cell fit a night on two cores
    plan="study_plan.toml",
)

GPU = Profile(
    name="gpu",  # the paper's image size and recipe on synthetic subjects; half an hour on one H100
    data=DataConfig(
        train=48,
        validation=4,
        test=24,  # as the demo
        fps=10.0,  # 30 frames per second look alike
        margin=360 / 256,  # exact, so that plain crops need no resampling
    ),
    frame=FrameConfig(
        batch=32,  # more steps for the same images
        images=80_000,  # two backbones × three seeds in a quarter of an hour
        every=1,  # at 10 frames per second neighbours differ
        moved=0.0,  # the same
        warmup=100,  # no pretrained weights to start from
        weights=None,  # nothing to fetch
        precision="bf16",  # the tensor cores' format
        workers=12,  # JPEGs of 360 px
        cache_gb=40.0,  # every frame is seen more than once by six networks
        validations=4,
    ),
    temporal=TemporalConfig(
        window=27,  # 2.7 s at 10 frames per second; the motions have 40 frames
        epochs=20,  # minutes
        warmup=100,  # post-norm transformers start badly at full rate
        validations=4,
    ),
    evaluation=EvaluationConfig(batch=256),
    seeds=(0, 1, 2),  # the spread between runs
)

BMLMOVI = Profile(
    name="bmlmovi",  # the paper's experiment, on the paper's data: needs the downloads (RAW=…) and a GPU
    data=BmlmoviConfig(),
    frame=FrameConfig(workers=8),  # threads that decode JPEGs of 360 px
)

PROFILES = {profile.name: profile for profile in (SMOKE, DEMO, GPU, BMLMOVI, STUDY)}


def profile(name: str, asked: Settings | None = None) -> Profile:
    """The profile of that name, with the seeds and overrides of `asked` (default: the environment's).

    Overrides change the profile's name: `bmlmovi.tiny`. Raises D3keError naming what is unknown.
    """
    check_known("profile", name, tuple(PROFILES))
    asked = asked or settings.read()
    found = overrides.apply(PROFILES[name], asked.overrides)
    if found.plan:
        return cells.apply(found, asked.seeds)
    return replace(found, seeds=asked.seeds) if asked.seeds else found
