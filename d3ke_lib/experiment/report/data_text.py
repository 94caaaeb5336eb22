"""Sentences about the data, made from the profile: nothing is called synthetic that is not."""

from d3ke_lib.data.synthetic.generate import DataConfig
from d3ke_lib.experiment.run.config import Profile

_SYNTHETIC = """
**Finding.** A data set in which every label is exact, that needs no registration, and that anybody can make
again byte for byte on any x86-64 processor. It takes the place of BMLmovi: {subjects} subjects perform
{actions} everyday actions, {held_out} of which no training subject performs, and mixtures of the others, with
any heading. Cameras: {train_cameras} in training, {test_cameras} in validation and test (PG1, PG2: BMLmovi's
two; R1, R2: drawn for every take; H1: positions, focal lengths and rooms never trained on), cropped as D3KE
crops. **Everything in it is synthetic**: what a network learns here says how two backbones compare on these
images, not how well either would do on a person.
"""

_BMLMOVI = """
**Finding.** BMLmovi's recordings in the form that D3KE trains on: {subjects} subjects before the cameras
{cameras}, with the joint angles, scale factors and points of our skeleton, fitted by inverse kinematics to
AMASS' body fits, which a marker system measured at the same time. Images and labels may not be published; nor
may figures that show them.
"""

_COMMON_LIMITS = """
- The pelvis rotation of a label is in the frame of that image's own crop camera, which rotates to follow the
  subject, as in D3KE.
"""

_SYNTHETIC_LIMITS = """
- The bodies are MakeHuman's mesh, skinned to our own skeleton: its surface does not bulge or fold, cloth
  does not move, hands are open and hold nothing. A network trained on them is not meant for people.
- Mixtures blend key poses that we wrote: they show limbs in many positions, not how people move.
- The smallest parts of a posture (a degree or two in each vertebra) cannot be seen in a small crop: every
  method keeps that error.
- The real data go into the same records; `data/README.md` says what is needed for it.
"""

_BMLMOVI_LIMITS = """
- Labels are as good as the body fits and the inverse kinematics behind them: an error that both share cannot
  be seen in any number here.
- Cloth, hair and shoes hide the surface that the fits describe; angles marked as unreliable are left out of
  losses and metrics.
"""


def is_synthetic(profile: Profile) -> bool:
    return isinstance(profile.data, DataConfig)


def note(profile: Profile) -> str:
    """For the margin of a figure."""
    kind = "synthetic data" if is_synthetic(profile) else "BMLmovi, not for publication"
    return f"{kind}, profile {profile.name}"


def introduce(profile: Profile) -> str:
    """What the records are, as Markdown."""
    data = profile.data
    subjects = sum(map(len, data.splits.values()))
    if not is_synthetic(profile):
        return _BMLMOVI.format(subjects=subjects, cameras=" and ".join(data.cameras))
    views = {name: ", ".join(getattr(data, name)) for name in ("train_cameras", "test_cameras")}
    held_out = len(data.actions) - len(data.seen_actions)
    return _SYNTHETIC.format(subjects=subjects, actions=len(data.actions), held_out=held_out, **views)


def caution(profile: Profile) -> str:
    """What to keep in mind about the records, as Markdown."""
    return _COMMON_LIMITS + (_SYNTHETIC_LIMITS if is_synthetic(profile) else _BMLMOVI_LIMITS).lstrip()


def describe_training(profile: Profile, images: int) -> str:
    """The budget of a training and what its backbone starts from, as Markdown."""
    start = profile.frame.weights
    weights = "ImageNet weights, as in D3KE" if start == "imagenet" else f"the weights in `{start}`"
    if start is None:
        weights = "random numbers, because nothing is downloaded; D3KE starts from ImageNet weights"
    return f"""
- {images:,} images were seen; the paper's training sees each of its frames 30 times.
- The backbone starts from {weights}.
- An image shows some angles badly (rotations about a bone's own axis); for these the network predicts what is
  common. Notebook 06 lists every coordinate.
"""
