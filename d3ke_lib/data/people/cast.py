"""Everybody that a seed makes: the template loaded once, and dressed subjects drawn from it."""

from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.data.people.chart import Chart, chart_texels, chart_vertices
from d3ke_lib.data.people.dress import Dressed, dress, put_on
from d3ke_lib.data.people.outfit import draw_outfit
from d3ke_lib.data.people.subject import SubjectSurface, draw_phenotype, fit_surface
from d3ke_lib.data.people.template import Template, load_template


class People(NamedTuple):
    """The template and where its vertices and texels are on the reference person."""

    template: Template
    vertices: Chart
    texels: Chart
    joints: tuple[str, ...]  # the skeleton's
    bodies: tuple[str, ...]  # the skeleton's


class DressedSubject(NamedTuple):
    """A subject's surface with clothes and hair on, and what is drawn of it."""

    surface: SubjectSurface
    dressed: Dressed


def load_people(path: Path, skeleton: Skeleton) -> People:
    """`path`: from `prepare_template`; `skeleton`: our own body, float64. Raises as `load_template`."""
    template = load_template(path)
    vertices = chart_vertices(template, skeleton.bodies)
    return People(template, vertices, chart_texels(vertices, template), skeleton.joints, skeleton.bodies)


def draw_person(
    people: People, skeleton: Skeleton, scales: Float[Tensor, "body 3"], generator: torch.Generator
) -> DressedSubject:
    """Somebody of these scale factors: phenotype, clothes and hair from `generator`."""
    phenotype = draw_phenotype(generator)
    surface = fit_surface(people.template, skeleton, phenotype, scales)
    dressed = dress(people.template, people.vertices, people.texels, draw_outfit(phenotype, generator))
    return DressedSubject(put_on(surface, people.template, dressed), dressed)
