"""A take of a dressed subject as one look sees it: images and labels."""

from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.data.batch import apply
from d3ke_lib.data.camera import Camera, crop_camera, pixels, to_camera
from d3ke_lib.data.renderer.mesh import Mesh, render_mesh
from d3ke_lib.data.renderer.room import Casters
from d3ke_lib.data.seeds import seed_generator
from d3ke_lib.data.synthetic.cameras import LOOKS
from d3ke_lib.data.synthetic.people_take import PeopleSubject, PeopleTake
from d3ke_lib.data.synthetic.scene import label_columns, square_around
from d3ke_lib.data.synthetic.sensor import develop, draw_sensor
from d3ke_lib.data.synthetic.surroundings import Scenery, TakeKey, list_casters, set_scene

_SENSOR = 14  # purpose of a random stream, after those of surroundings.py


def render_take(
    skeleton: Skeleton,
    take: PeopleTake,
    subject: PeopleSubject,
    key: TakeKey,
    look: str,
    px: int,
    margin: float,
    device: str = "cpu",
) -> tuple[dict[str, Any], UInt8[Tensor, "time 3 px px"], int]:
    """Labels (columns of a record), images, and the quality of their JPEGs, of a take by a look's camera.

    The crop is D3KE's: the camera rotated towards the subject's box, undistorted, `margin` x the box's side
    wide. It is rendered in that camera instead of resampled from a video frame.
    """
    scenery = set_scene(skeleton, take, subject, key, look)
    box = _bound(scenery.camera, take.vertices[:, subject.worn])
    crop = crop_camera(scenery.camera, box, px, zoom=1 / margin)
    images = _render(take, subject, scenery, crop, px, device)
    stream = seed_generator(*key.seed, _SENSOR, LOOKS.index(look))
    sensor = draw_sensor(stream)
    return label_columns(take.pose, take.points, crop, box), develop(images, sensor, stream), sensor.quality


def _bound(camera: Camera, vertices: Float[Tensor, "time vertex 3"]) -> Float[Tensor, "time 4"]:
    """The square around the subject in the video frame (x0, y0, x1, y1, px), wider than the surface."""
    px = pixels(camera, to_camera(camera, vertices))
    return square_around(px.amin(-2), px.amax(-2))


def _render(
    take: PeopleTake, subject: PeopleSubject, scenery: Scenery, crop: Camera, px: int, device: str
) -> UInt8[Tensor, "time 3 px px"]:
    ends, radii = list_casters(subject.people, take, scenery)
    ends, radii = torch.stack(list(ends), 1), ends[0].new_tensor(radii).expand(len(ends[0]), -1)
    shadow = Casters(ends[:, ::2], ends[:, 1::2], radii[:, ::2], radii[:, 1::2])
    mesh = Mesh(*(None if field is None else field.to(device) for field in _join(take, subject, scenery)))
    shadow, room, light, camera = (
        apply(lambda tensor: tensor.to(device, torch.float32), value)
        for value in (shadow, scenery.room, scenery.light, crop)
    )
    return render_mesh(mesh, shadow, room, light, camera, px, px).cpu()


def _join(take: PeopleTake, subject: PeopleSubject, scenery: Scenery) -> Mesh:
    """The subject, who stands behind, and the furniture as one mesh."""
    frames, dressed = len(take.vertices), subject.person.dressed
    parts = [Mesh(take.vertices, take.normals, dressed.triangles, dressed.texels)]
    if scenery.bystander:
        other, stood = scenery.bystander
        worn = other.person.dressed
        parts.append(Mesh(stood.vertices, stood.normals, worn.triangles, worn.texels))
    for prop in scenery.props:
        vertices, normals = (part.expand(frames, -1, -1) for part in (prop.vertices, prop.normals))
        parts.append(Mesh(vertices, normals, prop.triangles, prop.texels))
    sizes = [part.vertices.shape[1] for part in parts]
    first = [sum(sizes[:i]) for i in range(len(parts))]
    moved = take.moved
    if moved is not None:
        moved = torch.cat([moved, moved.new_zeros(frames, sum(sizes[1:]), 3)], 1)
    return Mesh(
        torch.cat([part.vertices for part in parts], 1),
        torch.cat([part.normals for part in parts], 1),
        torch.cat([part.triangles + start for part, start in zip(parts, first)]),
        torch.cat([part.texels for part in parts]),
        moved,
    )
