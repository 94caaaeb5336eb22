"""A musculoskeletal model as plain frozen descriptions: numbers and names, no XML."""

from dataclasses import dataclass

from d3ke_lib.body.opensim.functions import Function
from d3ke_lib.files import D3keError

_Vector = tuple[float, float, float]
IDENTITY_SCALE = (1.0, 1.0, 1.0)


class OsimError(D3keError):
    """An .osim file that cannot be read, or holds something the library does not model."""


@dataclass(frozen=True)
class Segment:
    """A rigid body. Mass kg, centre m, inertia kg m² (xx yy zz xy xz yz), scales as last applied."""

    name: str
    mass: float
    mass_center: _Vector
    inertia: tuple[float, ...]
    scale_factors: _Vector


@dataclass(frozen=True)
class Coordinate:
    """A generalised coordinate: range and default in rad (rotations) or m (translations)."""

    name: str
    range: tuple[float, float]
    default: float
    locked: bool
    clamped: bool


@dataclass(frozen=True)
class Offset:
    """A frame fixed to a body: translation m, orientation as XYZ body-fixed angles in rad."""

    body: str
    translation: _Vector
    orientation: _Vector


@dataclass(frozen=True)
class Axis:
    """A rotation about, or a translation along, `axis` by `function(coordinate)`."""

    coordinate: str | None
    axis: _Vector
    function: Function


@dataclass(frozen=True)
class Joint:
    """T_parent_child = parent offset · rotations and translations · inverse of the child offset."""

    name: str
    kind: str
    parent: Offset
    child: Offset
    rotations: tuple[Axis, ...]
    translations: tuple[Axis, ...]
    coordinates: tuple[Coordinate, ...]


@dataclass(frozen=True)
class Coupler:
    """dependent = function(independent), while enforced."""

    name: str
    dependent: str
    independent: str
    function: Function
    enforced: bool


@dataclass(frozen=True)
class Marker:
    """A point fixed to a body, m in that body's frame."""

    name: str
    body: str
    location: _Vector


@dataclass(frozen=True)
class Constraint:
    """A relation between two bodies that the kinematics does not impose on its coordinates."""

    name: str
    kind: str
    bodies: tuple[str, str]
    closes_loop: bool  # several joints with coordinates lie between the bodies


@dataclass(frozen=True)
class Body:
    """A whole model, rooted in "ground"; a joint comes after the joint that moves its parent body.

    `constraints` are those that restrict coordinates without being couplers: the points at given coordinates
    do not depend on them.
    """

    name: str
    source: str
    segments: tuple[Segment, ...]
    joints: tuple[Joint, ...]
    couplers: tuple[Coupler, ...]
    markers: tuple[Marker, ...]
    constraints: tuple[Constraint, ...] = ()

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        return tuple(c for joint in self.joints for c in joint.coordinates)
