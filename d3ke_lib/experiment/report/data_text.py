"""Sentences about the data, made from the profile: nothing is called synthetic that is not."""

from d3ke_lib.data.synthetic.generate import DataConfig
from d3ke_lib.experiment.run.config import Profile

_SYNTHETIC = """
**Finding.** A data set in which every label is exact, that needs no registration, and that anybody can make
again byte for byte. It takes the place of BMLmovi: {subjects} subjects perform {actions} everyday actions and
mixtures of them, some of which no training subject performs, seen by the cameras {cameras} (PG1 and PG2 are
BMLmovi's; R1 and R2 are drawn for every take; H1, of test subjects alone, from ranges and rooms that are
never trained on), cropped as D3KE crops. **Everything in it is synthetic**: what a network learns
here says how two backbones compare on these images, not how well either would do on a person.
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
- The bodies are MakeHuman's mesh on our own skeleton, with painted faces and clothes: no expressions, no
  cloth that moves on its own, no objects in the hands. A network trained on them is not meant for real
  subjects.
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
    subjects, cameras = sum(map(len, data.splits.values())), " and ".join(data.cameras)
    if is_synthetic(profile):
        return _SYNTHETIC.format(subjects=subjects, actions=len(data.actions), cameras=cameras)
    return _BMLMOVI.format(subjects=subjects, cameras=cameras)


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
